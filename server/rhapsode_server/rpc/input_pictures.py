"""Pictures into the server: the bytes of a file, or raw values → what a model's encoder takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.errors import InvalidField
from rhapsode_server.models.decoder import Pixels
from rhapsode_server.rpc.picture_files import read_file


@dataclass(frozen=True, slots=True)
class Field:
    """A picture of a request, with its path for error messages."""

    path: str
    picture: image_pb2.InputImage


def picture_fields(pictures: Iterable[image_pb2.InputImage]) -> Sequence[Field]:
    """The pictures of a request whose field is `images`."""
    return [Field(f"images[{place}].data", picture) for place, picture in enumerate(pictures)]


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A picture as the model takes it: float32 [channels, height, width], and whether it had to be converted."""

    values: Pixels
    converted: bool


def take(picture: image_pb2.InputImage, spec: ImageSpec, field: str) -> Taken:
    """Read one picture. Raises InvalidField, naming `field`, where the bytes are not one.

    A file is fitted to the model as `read_file` tells. Raw values must have the model's own shape.
    """
    if picture.format == image_pb2.IMAGE_FORMAT_RAW_FLOAT32:
        return Taken(_floats(picture.data, spec, field), converted=False)
    if picture.format == image_pb2.IMAGE_FORMAT_RAW_UINT8:
        pixels = np.frombuffer(_sized(picture.data, 1, spec, field), dtype=np.uint8)
        return Taken(_from_bytes(pixels.reshape(_shape(spec)), spec), converted=False)
    pixels, converted = read_file(picture, spec, field)
    return Taken(_from_bytes(pixels.reshape(_shape(spec)), spec), converted)


def reach(spec: ImageSpec) -> tuple[float, float]:
    """The least and the most that values of a picture may be which are no bytes."""
    span = spec.high - spec.low  # as much again on either side: models overshoot, but nothing sound lies further out
    return spec.low - span, spec.high + span


def _floats(data: bytes, spec: ImageSpec, field: str) -> Pixels:
    values = np.frombuffer(_sized(data, 4, spec, field), dtype="<f4").astype(np.float32)
    low, high = reach(spec)
    if not ((values >= low) & (values <= high)).all():
        raise InvalidField(
            field, f"must have finite values in [{low:g}, {high:g}] only", {"min": str(low), "max": str(high)}
        )
    return np.ascontiguousarray(values.reshape(_shape(spec)).transpose(2, 0, 1))


def _from_bytes(pixels: NDArray[np.uint8], spec: ImageSpec) -> Pixels:
    scale = np.float32((spec.high - spec.low) / 255.0)
    values = pixels.transpose(2, 0, 1).astype(np.float32) * scale + np.float32(spec.low)
    return np.ascontiguousarray(values)


def _sized(data: bytes, width: int, spec: ImageSpec, field: str) -> bytes:
    height, columns, channels = _shape(spec)
    size = height * columns * channels * width
    if len(data) != size:
        raise InvalidField(field, f"must have {size} bytes: {height} × {columns} × {channels} values of {width}")
    return data


def _shape(spec: ImageSpec) -> tuple[int, int, int]:
    return spec.height, spec.width, spec.channels
