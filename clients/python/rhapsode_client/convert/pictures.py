"""Latents and pictures of one's own, to the messages that carry them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rhapsode.v1 import image_pb2 as pb
from rhapsode_client.convert.scalars import wrong_type
from rhapsode_client.types import ImageFormat, LatentInput, LatentsInput, Picture, PictureInput


def wire_format(value: ImageFormat) -> pb.ImageFormat.ValueType:
    """The wire's number for a format; unspecified for UNKNOWN."""
    if value is ImageFormat.UNKNOWN:
        return pb.IMAGE_FORMAT_UNSPECIFIED
    return pb.ImageFormat.Value(f"IMAGE_FORMAT_{value.name}")


def latent(field: str, value: LatentInput | NDArray[Any]) -> pb.Latent:
    """A point in latent space. Raises InvalidRequest where it is not one dimension of numbers."""
    return pb.Latent(values=_numbers(field, value, dimensions=1).tolist())


def latents(field: str, values: LatentsInput) -> list[pb.Latent]:
    """Points in latent space [count, size]. Raises InvalidRequest where they are not two dimensions of numbers."""
    rows = _numbers(field, values, dimensions=2)
    return [pb.Latent(values=row) for row in rows.tolist()]


def array(message: pb.Latent) -> NDArray[np.float32]:
    """A latent's numbers: float32 [size]."""
    return np.fromiter(message.values, dtype=np.float32, count=len(message.values))


def _numbers(field: str, values: LatentInput | LatentsInput | NDArray[Any], dimensions: int) -> NDArray[np.float32]:
    try:
        numbers = np.asarray(values, dtype=np.float32)
    except (TypeError, ValueError):
        raise wrong_type(field, "must hold numbers, as many in every row") from None
    if numbers.ndim != dimensions:
        raise wrong_type(field, f"must have {dimensions} dimension(s), not {numbers.ndim}")
    return numbers


def input_image(field: str, value: PictureInput) -> pb.InputImage:
    """A picture to encode. Raises InvalidRequest for a type that is no picture, OSError for an unreadable file."""
    match value:
        case bytes():
            return pb.InputImage(data=value)
        case Path():
            return pb.InputImage(data=value.read_bytes())
        case Picture():
            return pb.InputImage(data=value.data, format=wire_format(value.format))
        case Image.Image():
            return pb.InputImage(data=_png(value), format=pb.IMAGE_FORMAT_PNG)
        case np.ndarray():
            return _raw(field, value)
    raise wrong_type(field, "must be the bytes or the path of a picture, a Pillow image or an array")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _raw(field: str, pixels: NDArray[Any]) -> pb.InputImage:
    if pixels.ndim not in (2, 3):
        raise wrong_type(field, f"must have 2 or 3 dimensions as pixels, not {pixels.ndim}")
    if pixels.dtype == np.uint8:
        return pb.InputImage(data=pixels.tobytes(), format=pb.IMAGE_FORMAT_RAW_UINT8)
    if np.issubdtype(pixels.dtype, np.floating):
        return pb.InputImage(data=pixels.astype("<f4").tobytes(), format=pb.IMAGE_FORMAT_RAW_FLOAT32)
    raise wrong_type(field, f"must hold uint8 or floating-point pixels, not {pixels.dtype}")
