"""Somebody who learnt from the real pictures what there is to see, and looks at others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rhapsode_exporter.data.digits import Digits
from rhapsode_exporter.data.real import Floats, Labels, Real
from rhapsode_exporter.judge.attributes import balanced_accuracy, seen, train_on_labels
from rhapsode_exporter.judge.classifier import Classifier, features, probabilities, train_classifier
from rhapsode_exporter.judge.coverage import class_shares

# Optimiser steps are bounded, however many pictures there are.
EPOCHS, EPOCH_PICTURES = 15, 4_000
TRAIT_STEPS = 600


@dataclass(frozen=True, slots=True, eq=False)
class Observer:
    """A classifier of real pictures; `words` say what it is, and how well it knows held-out ones."""

    network: Classifier
    labels: Labels
    words: str

    def features(self, images: Floats) -> NDArray[np.float64]:
        """Where the pictures [N, C, H, W] lie in its space of features, [N, D]."""
        return features(self.network, torch.from_numpy(images)).double().numpy()

    def shares(self, images: Floats) -> NDArray[np.float64]:
        """The share of pictures that it gives to each class, or in which it sees each trait."""
        named = self.names(images)
        return class_shares(named, len(self.labels.names)) if self.labels.exclusive else named.mean(axis=0)

    def names(self, images: Floats) -> NDArray[Any]:
        """What it says of each picture, in the manner of the labels."""
        tensor = torch.from_numpy(images)
        if self.labels.exclusive:
            return probabilities(self.network, tensor).argmax(dim=1).numpy()
        return seen(self.network, tensor).numpy()


def teach(real: Real) -> Observer | None:
    """An observer who learnt from the labelled training pictures; None where nothing is known of them."""
    if real.labels is None:
        return None
    return _of_classes(real, real.labels) if real.labels.exclusive else _of_traits(real, real.labels)


def _of_classes(real: Real, labels: Labels) -> Observer:
    images = np.rint(real.training[:, 0] * 255).astype(np.uint8)
    epochs = max(1, EPOCHS * EPOCH_PICTURES // len(images))
    network = train_classifier(Digits(images, labels.training), epochs, seed=0)
    observer = Observer(network, labels, "")
    right = float((observer.names(real.held_out) == labels.held_out).mean())
    words = (
        f"a small classifier trained on the same real pictures, which names {right:.1%} of the held-out ones rightly"
    )
    return Observer(network, labels, words)


def _of_traits(real: Real, labels: Labels) -> Observer:
    truth = torch.from_numpy(labels.training)
    channels, side = real.training.shape[1:3]
    network = train_on_labels(
        lambda: Classifier(channels=channels, side=side, outputs=truth.shape[1]),
        torch.from_numpy(real.training),
        truth,
        TRAIT_STEPS,
        seed=0,
    )
    found = seen(network, torch.from_numpy(real.held_out))
    right = min(balanced_accuracy(found, torch.from_numpy(labels.held_out)))
    words = (
        f"a small network trained on the same real pictures to see {', '.join(labels.names)}, each with a balanced "
        f"accuracy of at least {right:.1%} on the held-out ones"
    )
    return Observer(network, labels, words)
