"""The slope of a noisy line of points: Theil and Sen's, which a few wild points do not move, with an interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 8  # points that are drawn together: neighbours are alike, and single ones would make the interval too narrow
DRAWS = 400
SHARE = 0.95

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth for each unit of time, between the bounds of its 95 % interval."""

    low: float
    middle: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


def slope(times: Points, values: Points, seed: int = 0) -> Slope:
    """The median slope of all pairs of points; its interval by a bootstrap of blocks of what the line leaves over."""
    pairs = np.triu_indices(len(times), 1)
    middle = _theil_sen(times, values, pairs)
    line = np.median(values - middle * times) + middle * times
    left = values - line
    dice, length = np.random.default_rng(seed), min(BLOCK, len(times))
    drawn = []
    for _ in range(DRAWS):
        starts = dice.integers(0, len(times) - length + 1, -(-len(times) // length))
        noise = np.concatenate([left[start : start + length] for start in starts])[: len(times)]
        drawn.append(_theil_sen(times, line + noise, pairs))
    low, high = np.quantile(drawn, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return Slope(float(low), middle, float(high))


def _theil_sen(times: Points, values: Points, pairs: tuple[NDArray[np.intp], NDArray[np.intp]]) -> float:
    earlier, later = pairs
    return float(np.median((values[later] - values[earlier]) / (times[later] - times[earlier])))
