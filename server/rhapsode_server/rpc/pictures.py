"""Pictures out of the server: a model's values → the bytes of a file, or raw values."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rhapsode.v1 import image_pb2
from rhapsode.v1.bundle_pb2 import ImageSpec
from rhapsode_server.models.decoder import Pixels

Format: TypeAlias = image_pb2.ImageFormat.ValueType
Timed: TypeAlias = Callable[[float], None]
"""Is told the seconds that a file took."""

JPEG_QUALITY = 95
FILE_HEADER = 2048  # more than any of the formats spends besides the pixels

# Pillow's name of each file format, and the settings that it is written with.
_FILES: Mapping[Format, tuple[str, Mapping[str, bool | int]]] = MappingProxyType(
    {
        image_pb2.IMAGE_FORMAT_PNG: ("PNG", MappingProxyType({})),
        image_pb2.IMAGE_FORMAT_WEBP: ("WEBP", {"lossless": True, "exact": True}),
        image_pb2.IMAGE_FORMAT_JPEG: ("JPEG", {"quality": JPEG_QUALITY}),
    }
)
FILE_NAMES: Mapping[Format, str] = MappingProxyType({form: name for form, (name, _) in _FILES.items()})
"""What the files of each format are called."""
# Most bytes a pixel value can take. PNG stores what it cannot compress; a JPEG coefficient has at most 27 bits.
_BYTES_OF_VALUE: Mapping[Format, float] = MappingProxyType(
    {
        image_pb2.IMAGE_FORMAT_PNG: 1.01,
        image_pb2.IMAGE_FORMAT_WEBP: 2.0,
        image_pb2.IMAGE_FORMAT_JPEG: 3.5,
        image_pb2.IMAGE_FORMAT_RAW_UINT8: 1.0,
        image_pb2.IMAGE_FORMAT_RAW_FLOAT32: 4.0,
    }
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the pictures of one model in one format."""

    format: Format
    spec: ImageSpec

    @property
    def values(self) -> int:
        """Values of one picture: height × width × channels."""
        return self.spec.height * self.spec.width * self.spec.channels

    @property
    def raw(self) -> bool:
        """Whether values are sent as they are, without a file's encoder."""
        return self.format not in _FILES

    def write(self, pictures: Sequence[Pixels], timed: Timed | None = None) -> list[bytes]:
        """Write pictures, all at once: float32 [channels, height, width] in the model's range → bytes, for each."""
        if self.format == image_pb2.IMAGE_FORMAT_RAW_FLOAT32:
            return [picture.transpose(1, 2, 0).astype("<f4", copy=False).tobytes() for picture in pictures]
        pixels = to_bytes(np.array(pictures).transpose(0, 2, 3, 1), self.spec)
        return [each.tobytes() if self.raw else _write_file(each, self.format, timed) for each in pixels]

    @property
    def most_bytes(self) -> int:
        """An upper bound of a picture's size, known before there is one."""
        header = FILE_HEADER if self.format in _FILES else 0
        values = self.spec.height * (self.spec.width * self.spec.channels + 1)
        return header + int(values * _BYTES_OF_VALUE[self.format])


def writer(asked: Format, spec: ImageSpec) -> Writer:
    """The writer of the format that a request asks for; PNG where it asks for none."""
    return Writer(asked or image_pb2.IMAGE_FORMAT_PNG, spec)


def to_bytes(values: Pixels, spec: ImageSpec) -> NDArray[np.uint8]:
    """Scale values of any shape from [low, high] to 0–255, rounded to nearest, cut off outside."""
    scale = np.float32(255.0 / (spec.high - spec.low))
    scaled = np.rint((values - np.float32(spec.low)) * scale)
    pixels: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8, order="C")
    return pixels


def _write_file(pixels: NDArray[np.uint8], form: Format, timed: Timed | None) -> bytes:
    began = time.perf_counter()
    name, settings = _FILES[form]
    file = BytesIO()
    grey = pixels.shape[2] == 1
    Image.fromarray(pixels[:, :, 0] if grey else pixels).save(file, name, **settings)
    if timed:
        timed(time.perf_counter() - began)
    return file.getvalue()
