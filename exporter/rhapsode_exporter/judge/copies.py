"""What a text has word for word from another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]

# No character has these numbers: one after every text, so that no stretch that reaches over an end is found elsewhere.
AFTER_KNOWN, AFTER_SAMPLE = 0x11_0000, 0x11_0001
# Shorter stretches stand nearly everywhere, so that looking for them rules nothing out.
TELLING = 16


@dataclass(frozen=True, slots=True)
class _Stretches:
    """A hash of `size` characters from each place of some texts, and the places that are still of interest."""

    size: int
    hashes: Hashes
    places: Places

    @classmethod
    def single(cls, texts: Sequence[str], after: int) -> Self:
        """The characters themselves, with the number `after` behind each text."""
        ends = np.array([after], np.uint32)
        parts = [part for text in texts for part in (np.frombuffer(text.encode("utf-32-le"), np.uint32), ends)]
        characters = np.concatenate([ends, *parts]).astype(np.uint64)
        return cls(1, characters, np.arange(len(characters)))

    def at(self, size: int) -> Hashes:
        """Hashes of `size` characters, from `self.size` to twice as many, at those places that have room."""
        places = self.places[self.places + size <= len(self.hashes) + self.size - 1]
        return _mixed(self.hashes[places], self.hashes[places + size - self.size])

    def doubled(self) -> Self:
        """As this, of stretches twice as long."""
        hashes = _mixed(self.hashes[: -self.size], self.hashes[self.size :])
        return type(self)(2 * self.size, hashes, self.places[self.places < len(hashes)])

    def among(self, others: Self) -> Self:
        """As this, with the places whose stretch stands at one of the places of the others too."""
        known = np.sort(others.hashes[others.places])
        return type(self)(self.size, self.hashes, self.places[_found(self.hashes[self.places], known)])


def copied_share(sample: Sequence[str], known: Sequence[str], size: int) -> float | None:
    """The share of the sample's stretches of `size` characters that stand in the known texts; None where it has none.

    A stretch lies within one text. Stretches are compared by hashes of 64 bits.
    """
    total = sum(max(0, len(text) - size + 1) for text in sample)
    if not total:
        return None
    ours, theirs = _longest_power(sample, known, size)
    return float(_found(ours.at(size), np.sort(theirs.at(size))).sum()) / total


def longest_copy(sample: Sequence[str], known: Sequence[str]) -> int:
    """The length of the longest stretch of a sample's text that stands in one of the known texts."""
    ours, theirs = _longest_power(sample, known, None)
    if not len(ours.places):
        return 0
    low, high = ours.size, 2 * ours.size  # a copy of `low` is there, none of `high`
    while high - low > 1:
        middle = (low + high) // 2
        if _found(ours.at(middle), np.sort(theirs.at(middle))).any():
            low = middle
        else:
            high = middle
    return low


def _longest_power(
    sample: Sequence[str], known: Sequence[str], limit: int | None, telling: int = TELLING
) -> tuple[_Stretches, _Stretches]:
    """Both texts' stretches of the greatest power of two up to `limit`, else of the greatest that is copied.

    From the size `telling` on only the places are left that are in both.
    """
    ours, theirs = _Stretches.single(sample, AFTER_SAMPLE), _Stretches.single(known, AFTER_KNOWN)
    if telling == 1:
        ours, theirs = _shared(ours, theirs)
    while len(ours.places) and (limit is None or 2 * ours.size <= limit):
        longer, others = ours.doubled(), theirs.doubled()
        if longer.size >= telling:
            longer, others = _shared(longer, others)
            if limit is None and not len(longer.places):
                break
        ours, theirs = longer, others
    if limit is None and ours.size < telling:
        return _longest_power(sample, known, limit, telling=1)
    return ours, theirs


def _shared(ours: _Stretches, theirs: _Stretches) -> tuple[_Stretches, _Stretches]:
    """Both with the places alone whose stretches the other has too."""
    theirs = theirs.among(ours)
    return ours.among(theirs), theirs


def _mixed(first: Hashes, second: Hashes) -> Hashes:
    """One number of two that depends on their order, in which every bit counts (the mixing of SplitMix64)."""
    mixed: Hashes = first * np.uint64(0x9E3779B97F4A7C15) + (second ^ np.uint64(0xD1B54A32D192ED03))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _found(hashes: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Whether each stands among `known`, which are sorted.

    A table of their lowest bits, small enough for the cache, rules out nearly all of the others before any search.
    """
    mask = np.uint64((1 << min(24, (16 * len(known)).bit_length())) - 1)
    table = np.zeros(int(mask) + 1, np.bool_)
    table[known & mask] = True
    found: NDArray[np.bool_] = table[hashes & mask]
    asked = hashes[found]
    if len(asked):
        found[found] = known[np.minimum(np.searchsorted(known, asked), len(known) - 1)] == asked
    return found
