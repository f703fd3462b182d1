"""Naive Bayes on n-grams of characters: the plain critic of texts that others are compared with."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rhapsode_exporter.data.lines import Lines
from rhapsode_exporter.networks.text_classifier import GramShape, gram_buckets

SMOOTHING = 0.3
BUCKETS = 1_048_573  # a prime, so large that few n-grams share one
ORDERS = (3, 4, 5)
BLOCK = 2_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NaiveBayes:
    """A log-likelihood ratio for each bucket of n-grams, and the score above which a text is of the first class."""

    shape: GramShape
    ratios: Floats
    threshold: float

    @classmethod
    def counted(cls, training: Lines, validation: Lines, vocabulary: int) -> Self:
        """Counted on one part; the threshold is where it is right of as many of each class of the other part."""
        shape = GramShape(vocabulary, training.tokens.shape[1], ORDERS, BUCKETS)
        counts = np.full((2, BUCKETS), SMOOTHING)
        for start in range(0, len(training.labels), BLOCK):
            part = training.at(torch.arange(start, min(start + BLOCK, len(training.labels))))
            buckets = gram_buckets(shape, part.tokens, part.length).numpy()
            for label in (0, 1):
                found = buckets[part.labels.numpy() == label].ravel()
                counts[label] += np.bincount(found, minlength=BUCKETS + 1)[:BUCKETS]
        first, second = np.log(counts / counts.sum(axis=1, keepdims=True))
        model = cls(shape, np.append(first - second, 0.0), 0.0)
        return cls(shape, model.ratios, _balance(model.scores(validation.tokens, validation.length), validation.labels))

    def scores(self, tokens: Tensor, length: Tensor) -> Floats:
        """How much likelier each text [N] is in the first class than in the second: nats for an n-gram of it."""
        parts = []
        for some, lengths in zip(torch.split(tokens, BLOCK), torch.split(length, BLOCK), strict=True):
            buckets = gram_buckets(self.shape, some, lengths).numpy()
            parts.append(self.ratios[buckets].sum(axis=1) / np.maximum(1, (buckets < BUCKETS).sum(axis=1)))
        return np.concatenate(parts)

    def labels(self, tokens: Tensor, length: Tensor) -> NDArray[np.intp]:
        """0 or 1 for each text [N]."""
        return np.where(self.scores(tokens, length) > self.threshold, 0, 1)


def _balance(scores: Floats, labels: Tensor) -> float:
    """The threshold at which the shares of both classes that are named rightly differ least."""
    first, second = (scores[labels.numpy() == label] for label in (0, 1))
    found = np.sort(scores)
    between = (found[1:] + found[:-1]) / 2
    gaps = [abs((first > threshold).mean() - (second <= threshold).mean()) for threshold in between]
    return float(between[int(np.argmin(gaps))])
