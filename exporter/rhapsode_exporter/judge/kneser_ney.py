"""A modified Kneser–Ney model of characters or words, the baseline that a network has to beat.

Interpolated, unpruned, with three discounts per order (Chen & Goodman 1998, "An empirical study of smoothing
techniques for language modeling", section 3; discounts after equation 26). An n-gram is held as one number: its symbols
as digits of base `vocabulary + 1`, the extra digit standing for the place before a text's start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HIGHEST_ORDER = 8
KEY_BITS = 63

Symbols = NDArray[np.integer]
Keys = NDArray[np.uint64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Table:
    """The n-grams of one order with their counts, and what each context keeps and gives away.

    `keys` and `contexts` are sorted. `totals` are the counts of a context's n-grams together, `spare` the part of
    them that the discounts take away and the next lower order deals out.
    """

    keys: Keys
    counts: Counts
    contexts: Keys
    totals: Floats
    spare: Floats
    discounts: Floats

    def refine(self, keys: Keys, base: int, lower: Floats) -> Floats:
        """Probabilities of the n-grams `keys`, given those of the next lower order; `lower` where a context is new."""
        place, known = find(self.contexts, keys // np.uint64(base))
        gram, seen = find(self.keys, keys)
        counts = np.where(seen, self.counts[gram], 0)
        kept = counts - self.discounts[np.minimum(counts, 3)]
        return np.where(known, (kept + self.spare[place] * lower) / self.totals[place], lower)

    def spread(self, contexts: Keys, base: int, lower: Floats) -> Floats:
        """Probabilities [B, V] of every symbol after `contexts` [B], given those [B, V] of the next lower order.

        As `refine` gives them, but found by the context: what followed it stands in one stretch of `keys`.
        """
        place, known = find(self.contexts, contexts)
        found = self.spare[place][:, None] * lower
        first, last = (np.searchsorted(self.keys, (contexts + np.uint64(more)) * np.uint64(base)) for more in (0, 1))
        lengths = np.where(known, last - first, 0)
        row = np.repeat(np.arange(len(contexts)), lengths)
        gram = np.arange(len(row)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        counts = self.counts[gram]
        found[row, (self.keys[gram] % np.uint64(base)).astype(np.intp)] += (
            counts - self.discounts[np.minimum(counts, 3)]
        )
        return np.where(known[:, None], found / self.totals[place][:, None], lower)


@dataclass(frozen=True, slots=True)
class KneserNey:
    """The counts of a text, ready to judge other texts with any order up to `order`.

    Number k - 1 of `raw` counts the k-grams as they stand, for use as the highest order; of `continuations` it counts
    the different symbols before each, for use below a higher order.
    """

    vocabulary: int
    raw: tuple[Table, ...]
    continuations: tuple[Table, ...]

    @property
    def order(self) -> int:
        """The highest order counted."""
        return len(self.raw)

    def probabilities(self, text: Symbols) -> list[Floats]:
        """The probability of every symbol of a text given those before it: [N] for each order from 1 up."""
        base = self.vocabulary + 1
        lower: Floats = np.full(len(text), 1 / self.vocabulary)
        by_order = []
        for size in range(1, self.order + 1):
            keys = grams(text, size, base)
            by_order.append(self.raw[size - 1].refine(keys, base, lower))
            if size < self.order:
                lower = self.continuations[size - 1].refine(keys, base, lower)
        return by_order

    def following(self, histories: Symbols, order: int) -> Floats:
        """The probabilities [B, V] of the symbol that follows each of `histories` [B, T], T ≥ order - 1, by an order.

        Before a text's start stands the symbol `vocabulary`, as often as is needed.
        """
        base, (rows, symbols) = self.vocabulary + 1, histories.shape
        probabilities: Floats = np.full((rows, self.vocabulary), 1 / self.vocabulary)
        contexts = np.zeros(rows, np.uint64)
        for size in range(1, order + 1):
            if size > 1:
                contexts += histories[:, symbols - size + 1].astype(np.uint64) * np.uint64(base ** (size - 2))
            table = (self.raw if size == order else self.continuations)[size - 1]
            probabilities = table.spread(contexts, base, probabilities)
        return probabilities

    def nats_per_character(self, texts: Sequence[Symbols], skipped: int = 0) -> tuple[float, ...]:
        """Mean negative log-likelihood of the symbols of the texts, for each order from 1 up.

        The first `skipped` symbols of each text are only read.
        """
        logs = [[np.log(p[skipped:]).sum() for p in self.probabilities(text)] for text in texts]
        symbols = sum(len(text) - skipped for text in texts)
        return tuple(float(-total / symbols) for total in np.sum(logs, axis=0))


def count(texts: Sequence[Symbols], vocabulary: int, order: int = HIGHEST_ORDER) -> KneserNey:
    """Count texts of symbols below `vocabulary`; the order is lowered where a key would not fit in 63 bits."""
    base = vocabulary + 1
    order = min(order, int(KEY_BITS / math.log2(base)))
    raw, continuations = [], []
    for size in range(1, order + 1):
        keys, counts = np.unique(np.concatenate([grams(text, size, base) for text in texts]), return_counts=True)
        raw.append(_table(keys, counts, base))
        if size > 1:
            shorter, befores = np.unique(keys % np.uint64(base ** (size - 1)), return_counts=True)
            continuations.append(_table(shorter, befores, base))
    return KneserNey(vocabulary, tuple(raw), tuple(continuations))


def grams(text: Symbols, size: int, base: int) -> Keys:
    """The number of the n-gram of `size` symbols that ends at each symbol of the text."""
    padded = np.concatenate([np.full(size - 1, base - 1, np.uint64), text.astype(np.uint64)])
    keys = np.zeros(len(text), np.uint64)
    for place in range(size):
        keys = keys * np.uint64(base) + padded[place : place + len(text)]
    return keys


def _table(keys: Keys, counts: Counts, base: int) -> Table:
    contexts, starts = np.unique(keys // np.uint64(base), return_index=True)
    discounts = _discounts(counts)
    return Table(
        keys=keys,
        counts=counts.astype(np.int64),
        contexts=contexts,
        totals=np.add.reduceat(counts, starts).astype(np.float64),
        spare=np.add.reduceat(discounts[np.minimum(counts, 3)], starts),
        discounts=discounts,
    )


def _discounts(counts: Counts) -> Floats:
    """What is taken from an n-gram seen 0, 1, 2, and 3 or more times.

    The closed form needs n-grams seen once, twice, three and four times; where one of these is missing (small
    alphabets at order 1) it falls back to half a count for each time seen, up to three.
    """
    once, twice, thrice, four = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    if 0 in (once, twice, thrice):
        return np.array([0.0, 0.5, 1.0, 1.5])
    share = once / (once + 2 * twice)
    found = [1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice]
    return np.clip([0.0, *found], 0.0, [0.0, 1.0, 2.0, 3.0])


def find(table: NDArray[np.integer], keys: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each key stands in a sorted table (some place where it does not), and whether it does."""
    places = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return places, table[places] == keys
