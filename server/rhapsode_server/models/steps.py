"""What a way of taking steps gives: the tokens of some rows, whether they are sound, and how likely they were."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.row import TextRow
from rhapsode_server.models.text import Logprob


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What log-probabilities follow from, for k steps of b rows; the likeliest tokens stand largest first."""

    chosen: NDArray[np.float32]
    """The token's logit less the largest: [k, b]."""
    total: NDArray[np.float64]
    """The sum of exp(logit − largest): [k, b]."""
    top_values: NDArray[np.float32]
    """Logits less the largest: [k, b, n]."""
    top_ids: NDArray[np.int64]
    """Of the same tokens: [k, b, n]."""

    def of(self, step: int, row: int, count: int) -> Logprob:
        """The log-probability of one token, beside those of the `count` likeliest."""
        # math.log takes one number at a time: numpy's may give other bits at another place of an array.
        base = math.log(self.total[step, row])
        values, ids = self.top_values[step, row, :count].tolist(), self.top_ids[step, row, :count].tolist()
        top = tuple((identity, value - base) for identity, value in zip(ids, values, strict=True))
        return Logprob(float(self.chosen[step, row]) - base, top)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What one run made of b rows in k steps."""

    tokens: NDArray[np.int64]
    """The token after each step, forced or drawn: [k, b]."""
    sound: NDArray[np.bool_]
    """Whether the logits of a step could be drawn from: [k, b]. −∞ forbids a token; NaN, +∞, nothing but −∞ do not."""
    told: Told | None
    """None where no row asks for log-probabilities."""


class Steps(Protocol):
    """A way to take steps: each row's state stays where the way keeps it."""

    def run(self, rows: Sequence[TextRow], steps: int) -> Made:
        """Take at most `steps` steps with every row, from its next token on. Raises RunFailed, OutOfMemory or
        DeviceLost.
        """
        ...
