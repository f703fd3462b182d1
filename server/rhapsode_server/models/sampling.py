"""The sampler in numpy: logits and settings in, token ids out; the reference for every faster one.

In this order: logit bias, penalties, temperature, top-k, top-p, min-p; then the cumulative weights, in vocabulary
order over the mask that is left, are inverted at the row's uniform. Every operation is of one row alone, in single
precision, so a row's token does not depend on its company.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a row's next token is drawn. The defaults draw plainly from the model's distribution."""

    temperature: float = 1.0
    """Divides the logits; 0 is greedy."""
    top_k: int = 0
    """Keeps the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keeps the fewest likeliest tokens that reach p in sum (Holtzman 2020)."""
    min_p: float = 0.0
    """Keeps tokens at least this times as likely as the likeliest (Nguyen 2024)."""
    repetition_penalty: float = 1.0
    """Divides positive and multiplies negative logits of tokens that have occurred (Keskar 2019)."""
    presence_penalty: float = 0.0
    """Subtracted from the logits of tokens that have occurred."""
    frequency_penalty: float = 0.0
    """Subtracted once for each time that a token has occurred."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Token ids and what is added to their logits."""

    @property
    def columns(self) -> tuple[float, ...]:
        """Temperature, top_p, min_p, the three penalties and top_k, in this order: a row of options."""
        penalties = (self.repetition_penalty, self.presence_penalty, self.frequency_penalty)
        return (self.temperature, self.top_p, self.min_p, *penalties, float(self.top_k))

    @property
    def penalised(self) -> bool:
        """Whether the draw depends on the tokens that have occurred."""
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0


def sample(
    logits: Floats, settings: Sequence[Sampling], counts: Sequence[NDArray[np.float32] | None], uniforms: Floats
) -> NDArray[np.int64]:
    """Draw one token a row: logits float32 [batch, vocabulary], uniforms float32 [batch] in (0, 1) → int64 [batch].

    `counts[i]`, float32 [vocabulary], says how often each token has occurred in row i; None where no penalty asks.
    A logit of −∞ forbids its token; a row has at least one finite logit and no NaN.
    """
    adjusted = _adjust(logits, settings, counts)
    temperatures = np.array([setting.temperature for setting in settings], dtype=np.float32)[:, None]
    shifted = adjusted - adjusted.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        scaled = shifted / np.where(temperatures > 0.0, temperatures, np.float32(1.0))
    drawn = _invert(_mask(np.exp(scaled), settings), uniforms)
    return np.where(temperatures[:, 0] > 0.0, drawn, shifted.argmax(axis=1))


def _adjust(logits: Floats, settings: Sequence[Sampling], counts: Sequence[NDArray[np.float32] | None]) -> Floats:
    """Logits after bias and penalties; the input is not changed."""
    adjusted = logits.copy()
    for row, setting, seen in zip(adjusted, settings, counts, strict=True):
        for token, bias in setting.logit_bias:
            row[token] += np.float32(bias)
        if seen is not None:
            _penalise(row, setting, seen)
    return adjusted


def _penalise(row: Floats, setting: Sampling, seen: NDArray[np.float32]) -> None:
    penalty = np.float32(setting.repetition_penalty)
    occurred = seen > 0
    row[occurred] = np.where(row[occurred] > 0.0, row[occurred] / penalty, row[occurred] * penalty)
    row -= np.float32(setting.presence_penalty) * occurred
    row -= np.float32(setting.frequency_penalty) * seen


def _mask(weights: Floats, settings: Sequence[Sampling]) -> Floats:
    """Weights (the likeliest of each row is 1) with those that a filter drops set to zero; ties stay together."""
    for row, setting in zip(weights, settings, strict=True):
        if 0 < setting.top_k < row.size:
            row[row < np.partition(row, -setting.top_k)[-setting.top_k]] = 0.0
        if setting.top_p < 1.0:
            falling = np.sort(row)[::-1]
            wanted = np.float32(setting.top_p) * np.cumsum(row, dtype=np.float32)[-1]
            reached = np.flatnonzero(np.cumsum(falling, dtype=np.float32) >= wanted)
            if reached.size:  # summed in another order, all together may fall short of nearly all
                row[row < falling[reached[0]]] = 0.0
        if setting.min_p > 0.0:
            row[row < np.float32(setting.min_p)] = 0.0
    return weights


def _invert(weights: Floats, uniforms: Floats) -> NDArray[np.int64]:
    """The first token at which the cumulative weight passes uniform × total."""
    reached = np.cumsum(weights, axis=1, dtype=np.float32)
    total = reached[:, -1:]
    passed = (reached <= uniforms[:, None] * total).sum(axis=1)
    # uniform × total can round up to total: the draw is then the last token that has any weight.
    return np.asarray(np.minimum(passed, (reached < total).sum(axis=1)))
