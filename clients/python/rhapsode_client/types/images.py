"""The values of image generation."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class ImageFormat(StrEnum):
    """How a picture is written as bytes."""

    UNKNOWN = "unknown"
    PNG = "png"
    WEBP = "webp"
    JPEG = "jpeg"
    RAW_UINT8 = "raw_uint8"
    RAW_FLOAT32 = "raw_float32"


class InterpolationMethod(StrEnum):
    """How to get from one latent to the next: in a straight line, or along an arc (Shoemake 1985)."""

    LERP = "lerp"
    SLERP = "slerp"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture that a model made; sizes in pixels, `data` written as `format` says.

    `latent` is float32 [size] where it was asked for, otherwise None. `steps_taken` is None but for a preview.
    """

    index: int
    format: ImageFormat
    width: int
    height: int
    channels: int
    data: bytes
    latent: NDArray[np.float32] | None
    steps_taken: int | None = None

    def array(self) -> NDArray[np.uint8] | NDArray[np.float32]:
        """Pixels [height, width, channels]: uint8, or float32 in the model's range where the format is RAW_FLOAT32."""
        shape = (self.height, self.width, self.channels)
        if self.format is ImageFormat.RAW_FLOAT32:
            return np.frombuffer(self.data, dtype="<f4").reshape(shape)
        if self.format is ImageFormat.RAW_UINT8:
            return np.frombuffer(self.data, dtype=np.uint8).reshape(shape)
        return np.asarray(self.image(), dtype=np.uint8).reshape(shape)

    def image(self) -> Image.Image:
        """The picture for Pillow, mode L or RGB. Raises ValueError for RAW_FLOAT32, which has no pixel values."""
        if self.format is ImageFormat.RAW_FLOAT32:
            raise ValueError("a RAW_FLOAT32 picture has no pixels; use array()")
        mode = "L" if self.channels == 1 else "RGB"
        if self.format is ImageFormat.RAW_UINT8:
            return Image.frombytes(mode, (self.width, self.height), self.data)
        return Image.open(io.BytesIO(self.data)).convert(mode)


ImageClass: TypeAlias = int | str
"""A class by its index or its name in `Model.classes`."""

LatentInput: TypeAlias = Sequence[float] | NDArray[np.floating[Any]]
"""A point in latent space: as many numbers as the model's latent size."""

LatentsInput: TypeAlias = Sequence[LatentInput] | NDArray[np.floating[Any]]
"""Points in latent space [count, size]."""

PictureInput: TypeAlias = bytes | Path | Image.Image | Picture | NDArray[np.uint8] | NDArray[np.float32]
"""A picture of one's own: a PNG, WebP or JPEG file or its bytes, a Pillow image, or raw pixels of the model's own size
[height, width, channels], uint8 or float32 in the model's range."""

OnPreview: TypeAlias = Callable[[Picture], object]
"""What is called with each preview of a picture that is still on its way."""

Keyframe: TypeAlias = int | LatentInput | PictureInput
"""A point on a walk: a seed, a latent (one dimension), or a picture to encode."""


@dataclass(frozen=True, slots=True)
class GibbsOptions:
    """How a Boltzmann machine draws: steps of its chain, None as the model has it; a preview after every so many."""

    steps: int | None = None
    preview_every: int | None = None


class ImageOptions(TypedDict, total=False):
    """The keyword arguments of `generate_images` and `stream_images`; at most one of seed, seeds and latents."""

    count: int
    """Pictures to make. Default: as many as there are seeds or latents, otherwise 1."""
    seed: int
    """Seed of the noise, 64 bits unsigned; picture i draws row i. Default: the server draws one."""
    seeds: Sequence[int]
    """A seed for each picture, which draws that seed's row 0."""
    latents: LatentsInput
    """A latent for each picture [count, size]."""
    first_index: int
    """The first picture's row, to make a later picture of a seed again. Default 0."""
    image_class: ImageClass
    """The class of every picture. Default: drawn with each picture's noise."""
    format: ImageFormat
    """How pictures are written. Default PNG."""
    return_latents: bool
    """Whether each picture comes with its latent. Default False."""
    gibbs: GibbsOptions
    """How a Boltzmann machine draws; refused by others."""


class WalkOptions(TypedDict, total=False):
    """The keyword arguments of `interpolate`."""

    method: InterpolationMethod
    """Default LERP."""
    frames_per_segment: int
    """Pictures from each keyframe up to, not including, the next. Default 16."""
    loop: bool
    """Whether the walk goes on from the last keyframe to just before the first. Default False."""
    image_class: ImageClass
    """The class of every picture; required on a model with classes."""
    format: ImageFormat
    """How pictures are written. Default PNG."""
    return_latents: bool
    """Whether each picture comes with its latent. Default False."""


@dataclass(frozen=True, slots=True)
class ImagesStarted:
    """What the server made of a request; `seed` is None where nothing was drawn, `count` the pictures to come."""

    model: str
    version: int
    fingerprint: str
    seed: int | None
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class ImagesResult:
    """All pictures of a request, in order."""

    started: ImagesStarted
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """Where a picture lies in latent space: float32 [size] each; `converted` says that it was scaled or recoloured."""

    mean: NDArray[np.float32]
    log_variance: NDArray[np.float32]
    converted: bool
