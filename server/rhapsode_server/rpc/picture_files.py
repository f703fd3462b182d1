"""The bytes of a client's picture file → 8-bit pixels of a model's size, with bounds on what reading them may cost."""

from collections.abc import Mapping
from io import BytesIO
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.errors import InvalidField
from rhapsode_server.rpc.pictures import Format

# Of a file, known from its header before anything is decoded.
MOST_PIXELS = 1 << 24
MOST_SIDE = (1 << 16) - 1  # what a JPEG can have; of the same pixels, very long lines take seconds to scale
# A progressive JPEG says its pixels in about ten scans. One can have any number that say nothing in a few bytes, and
# reading each goes over all pixels.
MOST_SCANS = 100

_SCAN = b"\xff\xda"
_FORMATS: Mapping[Format, tuple[str, ...]] = MappingProxyType(
    {
        image_pb2.IMAGE_FORMAT_UNSPECIFIED: ("PNG", "WEBP", "JPEG"),
        image_pb2.IMAGE_FORMAT_PNG: ("PNG",),
        image_pb2.IMAGE_FORMAT_WEBP: ("WEBP",),
        image_pb2.IMAGE_FORMAT_JPEG: ("JPEG",),
    }
)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_TURNS: Mapping[int, Image.Transpose] = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)


def read_file(picture: image_pb2.InputImage, spec: ImageSpec, field: str) -> tuple[NDArray[np.uint8], bool]:
    """A file's pixels, uint8 [height, width] or [height, width, channels], and whether they had to be converted.

    A file is turned as its orientation says, laid on white where it is transparent, converted to grey or colour and
    scaled with Lanczos's filter, each only where it has to be. Raises InvalidField, naming `field`, where the bytes are
    not a picture, or one that is too large.
    """
    names = ", ".join(_FORMATS[picture.format])
    try:
        with Image.open(BytesIO(picture.data), formats=_FORMATS[picture.format]) as file:
            _check_cost(file, picture.data, field)
            return _fit(file, spec)
    except _BOMB as error:
        raise _too_many(field, "pixels", MOST_PIXELS) from error
    except (InvalidField, MemoryError):
        raise
    except Exception as error:  # Pillow raises anything at all on a file that is not what it claims to be
        raise InvalidField(field, f"must be a picture that can be read as {names}") from error


def _check_cost(file: Image.Image, data: bytes, field: str) -> None:
    if file.width * file.height > MOST_PIXELS:
        raise _too_many(field, "pixels", MOST_PIXELS)
    if max(file.size) > MOST_SIDE:
        raise _too_many(field, "pixels a side", MOST_SIDE)
    if file.format in ("JPEG", "MPO") and data.count(_SCAN) > MOST_SCANS:
        raise _too_many(field, "scans", MOST_SCANS)


def _too_many(field: str, what: str, most: int) -> InvalidField:
    return InvalidField(field, f"must have at most {most} {what}", {"max": str(most)})


def _fit(file: Image.Image, spec: ImageSpec) -> tuple[NDArray[np.uint8], bool]:
    mode = "L" if spec.channels == 1 else "RGB"
    size = (spec.width, spec.height)
    upright = _upright(file)
    if upright.mode == mode and upright.size == size and not upright.has_transparency_data:
        return np.asarray(upright), False
    coloured = _on_white(_eight_bits(upright)).convert(mode)
    fitted = coloured if coloured.size == size else coloured.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(fitted), True


def _upright(file: Image.Image) -> Image.Image:
    try:
        orientation = file.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises anything at all here; what a file says beside its pixels does not spoil them
        return file
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return file if turn is None else file.transpose(turn)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8; Pillow's own conversion would cut off whatever is above 255."""
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture).astype(np.uint32)
    grey = ((values + 128) // 257).astype(np.uint8)
    if "transparency" in picture.info:
        grey[values == picture.info["transparency"]] = 255
    return Image.fromarray(grey)


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture.convert("RGBA"))
