"""A seeded generator, and the draws that random requests are made of."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


class Dice:
    """Draws the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(seed))

    def chance(self, share: float) -> bool:
        return bool(self.generator.random() < share)

    def between(self, low: float, high: float) -> float:
        return float(self.generator.uniform(low, high))

    def below(self, bound: int) -> int:
        return int(self.generator.integers(bound))

    def size(self, most: int) -> int:
        """From 1 to `most`, in two of three draws to a quarter of it: most requests are short."""
        return 1 + self.below(most if self.chance(1 / 3) else max(1, most // 4))

    def seed(self) -> int:
        """Any unsigned number of 64 bits."""
        return int(self.generator.integers(2**64, dtype=np.uint64))

    def pick(self, choices: Sequence[Choice]) -> Choice:
        return choices[self.below(len(choices))]

    def some(self, count: int, bound: int) -> list[int]:
        """So many different numbers below a bound, in any order; fewer where the bound is lower."""
        return [int(number) for number in self.generator.permutation(bound)[:count]]
