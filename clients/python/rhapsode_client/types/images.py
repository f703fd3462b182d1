"""The values of image generation."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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


class DiffusionSampler(StrEnum):
    """How a diffusion model gets from noise to a picture: DDIM (Song et al. 2021), or fresh noise in every step."""

    DDIM = "ddim"
    ANCESTRAL = "ancestral"


@dataclass(frozen=True, slots=True)
class DiffusionOptions:
    """How a diffusion model draws; what is None is as the model has it.

    `steps` from noise to picture; `eta` is the share of fresh noise in every step of DDIM, 0 to 1; `guidance` says how
    strongly the class is followed, 1 as it was learnt; a preview is sent after every `preview_every` steps.
    """

    steps: int | None = None
    sampler: DiffusionSampler | None = None
    eta: float | None = None
    guidance: float | None = None
    preview_every: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture that a model made; sizes in pixels, `data` written as `format` says.

    `latent` is float32 [size] where it was asked for, otherwise None. Where the best of many were kept, `index` is the
    rank, `row` the row of the seed that was drawn and `realness` what the critic found; otherwise these are None.
    `steps_taken` is None but for a preview.
    """

    index: int
    format: ImageFormat
    width: int
    height: int
    channels: int
    data: bytes = field(repr=False)
    latent: NDArray[np.float32] | None
    row: int | None = None
    realness: float | None = None
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

Point: TypeAlias = int | LatentInput | PictureInput
"""A point in latent space: a seed, a latent (one dimension), or a picture to encode."""


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """A move along a direction: the name of one of `Model.attributes`, or a vector of the latent size.

    `strength` is how many times it is added, negative to take it away; None means the attribute's own, or 1 for a
    vector.
    """

    direction: str | LatentInput
    strength: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Edited:
    """A point after edits, one after another."""

    point: Point
    edits: Sequence[Edit]


Keyframe: TypeAlias = Point | Edited
"""A point on a walk, or to be edited."""


@dataclass(frozen=True, slots=True)
class KeepBest:
    """Draws `drawn` pictures and keeps those that a critic finds most real; `critic` is the model whose critic judges,
    "name", "name@version" or "name@alias", where it is not the model's own.
    """

    drawn: int
    critic: str = ""


OnPreview: TypeAlias = Callable[[Picture], object]
"""What is called with each preview of a picture that is still on its way."""


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
    truncation: float
    """What drawn latents are multiplied by, above 0 and at most 1: less variety, more typical pictures. Default 1."""
    keep_best: KeepBest | int
    """Draws so many pictures and keeps the best `count` of them, best first; `first_index` is then a rank. Default:
    every picture is kept."""
    attributes: Sequence[Edit]
    """Moves in latent space before decoding, one after another. Default none."""
    diffusion: DiffusionOptions
    """How a diffusion model draws; refused by others."""
    gibbs: GibbsOptions
    """How a Boltzmann machine draws; refused by others."""


class EditOptions(TypedDict, total=False):
    """The keyword arguments of `edit_images`."""

    image_class: ImageClass
    """The class of every picture; required on a model with classes."""
    format: ImageFormat
    """How pictures are written. Default PNG."""
    return_latents: bool
    """Whether each picture comes with its latent. Default False."""


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


@dataclass(frozen=True, slots=True)
class CompressedPicture:
    """A picture as a code: what `decompress_images` takes; `converted` says that it was scaled or recoloured before."""

    payload: bytes
    converted: bool


@dataclass(frozen=True, slots=True, eq=False)
class TransformResult:
    """What became of pictures, in their order; `converted` says of each that it was scaled or recoloured before."""

    started: ImagesStarted
    pictures: tuple[Picture, ...]
    converted: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """Where a picture lies in latent space: float32 [size] each; `converted` says that it was scaled or recoloured."""

    mean: NDArray[np.float32]
    log_variance: NDArray[np.float32]
    converted: bool


@dataclass(frozen=True, slots=True, eq=False)
class ImageScore:
    """What a model finds of a picture. `realness` is a logit, None where the model has no critic; the probabilities are
    those of `Model.classes`, float32 [classes], empty where it tells none apart; a higher `anomaly` is stranger;
    `converted` says that the picture was scaled or recoloured.
    """

    realness: float | None
    class_probabilities: NDArray[np.float32]
    anomaly: float
    converted: bool


@dataclass(frozen=True, slots=True, eq=False)
class ImageScoresResult:
    """What a model finds of pictures, in their order; equal fingerprints mean equal scores for equal pictures."""

    model: str
    version: int
    fingerprint: str
    scores: tuple[ImageScore, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FittedAttribute:
    """A direction in latent space: float32 [size]. At strength 1 it leads from the mean without to the mean with.

    `separation` is the share of pairs of the given pictures that lie along it in the right order: 0.5 is chance.
    """

    vector: NDArray[np.float32]
    separation: float
