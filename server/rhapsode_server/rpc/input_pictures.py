"""Pictures into the server: the bytes of a file, or raw values → what a model's encoder takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.errors import InvalidField
from rhapsode_server.models.decoder import Pixels
from rhapsode_server.rpc.pictures import Format

MOST_PIXELS = 1 << 24  # of a file, read from its header before anything is decoded

_FORMATS: Mapping[Format, tuple[str, ...]] = MappingProxyType(
    {
        image_pb2.IMAGE_FORMAT_UNSPECIFIED: ("PNG", "WEBP", "JPEG"),
        image_pb2.IMAGE_FORMAT_PNG: ("PNG",),
        image_pb2.IMAGE_FORMAT_WEBP: ("WEBP",),
        image_pb2.IMAGE_FORMAT_JPEG: ("JPEG",),
    }
)
# What Pillow raises on a file that is not what it claims to be.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning)


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

    A file is turned as its orientation says, laid on white where it is transparent, converted to grey or colour and
    scaled with Lanczos's filter, each only where it has to be. Raw values must have the model's own shape.
    """
    if picture.format == image_pb2.IMAGE_FORMAT_RAW_FLOAT32:
        return Taken(_floats(picture.data, spec, field), converted=False)
    if picture.format == image_pb2.IMAGE_FORMAT_RAW_UINT8:
        pixels = np.frombuffer(_sized(picture.data, 1, spec, field), dtype=np.uint8)
        return Taken(_from_bytes(pixels.reshape(_shape(spec)), spec), converted=False)
    pixels, converted = _open(picture, spec, field)
    return Taken(_from_bytes(pixels, spec), converted)


def _open(picture: image_pb2.InputImage, spec: ImageSpec, field: str) -> tuple[NDArray[np.uint8], bool]:
    try:
        with Image.open(BytesIO(picture.data), formats=_FORMATS[picture.format]) as file:
            if file.width * file.height > MOST_PIXELS:
                raise InvalidField(field, f"must have at most {MOST_PIXELS} pixels", {"max": str(MOST_PIXELS)})
            return _fit(file, spec)
    except _BROKEN as error:
        names = ", ".join(_FORMATS[picture.format])
        raise InvalidField(field, f"must be a picture that can be read as {names}") from error


def _fit(file: Image.Image, spec: ImageSpec) -> tuple[NDArray[np.uint8], bool]:
    mode = "L" if spec.channels == 1 else "RGB"
    size = (spec.width, spec.height)
    upright = ImageOps.exif_transpose(file)
    if upright.mode == mode and upright.size == size:
        return np.asarray(upright).reshape(_shape(spec)), False
    coloured = upright if upright.mode == mode else _flatten(upright).convert(mode)
    fitted = coloured if coloured.size == size else coloured.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(fitted).reshape(_shape(spec)), True


def _flatten(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA"))


def _floats(data: bytes, spec: ImageSpec, field: str) -> Pixels:
    values = np.frombuffer(_sized(data, 4, spec, field), dtype="<f4").astype(np.float32)
    span = spec.high - spec.low  # as much again on either side: models overshoot, but nothing sound lies further out
    low, high = spec.low - span, spec.high + span
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
