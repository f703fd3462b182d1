"""Which entries of an n-gram model to keep: those whose loss would be dear."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
SMALLEST = 1e-9
"""The least that is left for what is not listed, where rounding would leave nothing."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """All entries of the contexts of one length, E of them, those of a context beside each other.

    `chances` [E] are their probabilities, `lower` [E] those that a context one token shorter gives.
    """

    contexts: Integers
    tokens: Integers
    chances: Floats
    lower: Floats

    @property
    def starts(self) -> Integers:
        """Where the entries of each context begin: [C]."""
        return np.flatnonzero(np.diff(self.contexts, prepend=-1))

    @property
    def left(self) -> Floats:
        """The probability of what is not listed after each context: [C]."""
        return np.maximum(1 - self.sums(self.chances), SMALLEST)

    @property
    def lower_left(self) -> Floats:
        """The same by a context one token shorter."""
        return np.maximum(1 - self.sums(self.lower), SMALLEST)

    def sums(self, values: Floats) -> Floats:
        """The values [E] of each context together: [C]."""
        found: Floats = np.bincount(self._owners(), values, len(self.starts)).astype(np.float64)
        return found

    def spread(self, values: Floats) -> Floats:
        """Values [C] of the contexts for each of their entries: [E]."""
        return values[self._owners()]

    def ranks(self, values: Floats) -> Integers:
        """The place of each entry in its context, the largest value first: [E]."""
        found = np.empty(len(values), np.int64)
        order = np.lexsort((-values, self._owners()))
        found[order] = np.arange(len(values)) - np.repeat(self.starts, np.bincount(self._owners()))
        return found

    def only(self, keep: NDArray[np.bool_]) -> "Candidates":
        """Some of the entries."""
        return Candidates(self.contexts[keep], self.tokens[keep], self.chances[keep], self.lower[keep])

    def losses(self, shares: Floats) -> Floats:
        """How many nats a token the model would lose without each entry alone (Stolcke 1998, equations 6 to 8).

        `shares` [C] are how often each context is met.
        """
        left, lower_left = self.spread(self.left), self.spread(self.lower_left)
        before = np.log(left / lower_left)
        after = np.log((left + self.chances) / (lower_left + self.lower))
        change = self.chances * (np.log(self.lower / self.chances) + after) + left * (after - before)
        lost: Floats = -self.spread(shares) * change
        return lost

    def _owners(self) -> Integers:
        return np.cumsum(np.diff(self.contexts, prepend=self.contexts[:1]) != 0)


@dataclass(frozen=True, slots=True)
class Pruning:
    """Relative-entropy pruning: an entry is to save `threshold` nats a token, a context `context_cost` entries' worth.

    At most `widest` entries follow a context, those that save most.
    """

    threshold: float
    context_cost: float
    widest: int

    def keep(self, candidates: Candidates, shares: Floats) -> NDArray[np.bool_]:
        """Whether each entry stays; `shares` [C] are how often each context is met."""
        losses = candidates.losses(shares)
        keep = (losses > self.threshold) & (candidates.ranks(losses) < self.widest)
        saved = candidates.sums(np.where(keep, losses - self.threshold, 0.0))
        return keep & (candidates.spread(saved) > self.context_cost * self.threshold)
