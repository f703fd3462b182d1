"""Where the figures of a loaded server went after its warm-up: memory, tasks, descriptors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from benchmarks.abuse.promise import Promise
from benchmarks.soak.slopes import Slope, slope
from benchmarks.soak.watch import Look
from benchmarks.vitals import Vitals

WARM_UP = 0.25  # the share of the time that counts as warming up
FEWEST = 24  # looks after it from which a slope says something
SHORTEST = 120.0  # seconds that they must span
MEGABYTES_A_MINUTE = 1.0
MIB = 2**20
STEP = 1.0  # MiB that the allocator may take at once, in either half: that is no trend
SPARE, SPARE_SHARE = 2, 0.1  # tasks or descriptors, and share of them, that a median of many looks may be off by


@dataclass(frozen=True, slots=True)
class Growth:
    """How memory went on after the warm-up, in MiB a minute."""

    whole: Slope
    first: Slope
    """Of the first half of that time."""
    second: Slope
    half: float
    """Minutes of either half."""

    @property
    def falls(self) -> bool:
        """Whether it slows down: the second half grows less than the first did, or not surely by more than a step."""
        return self.second.middle < self.first.middle or self.second.low <= STEP / self.half

    def promises(self) -> Iterator[Promise]:
        """That it is small, and falls."""
        small = self.whole.middle < MEGABYTES_A_MINUTE
        yield Promise("memory slope after the warm-up", str(self.whole), f"< {MEGABYTES_A_MINUTE:g} MiB/min", small)
        halves = f"{self.first.middle:+.2f}, then {self.second}"
        bound = f"falling, or not surely above {STEP / self.half:.2f}"
        yield Promise("memory slope by halves", halves, bound, self.falls)


@dataclass(frozen=True, slots=True)
class Level:
    """How many there were of something that comes and goes with the requests."""

    first: float
    """The median of the first half."""
    second: float
    slope: Slope
    """Over both, a minute."""

    @property
    def bound(self) -> float:
        """What the second half may have where chance is all that moves it."""
        return self.first * (1 + SPARE_SHARE) + SPARE

    @property
    def flat(self) -> bool:
        """Whether there is no leak: the medians are alike, or the rise is not sure."""
        return self.second <= self.bound or self.slope.low <= 0

    def promise(self, name: str) -> Promise:
        """That it is flat."""
        value = f"{self.first:g}, then {self.second:g}; {self.slope} a minute"
        return Promise(f"{name} under load, by halves", value, f"≤ {self.bound:.0f}, or no sure rise", self.flat)


@dataclass(frozen=True, slots=True)
class Trends:
    """All of them."""

    growth: Growth
    tasks: Level
    descriptors: Level

    def promises(self) -> Iterator[Promise]:
        """That none of them shows a leak."""
        yield from self.growth.promises()
        yield self.tasks.promise("tasks")
        yield self.descriptors.promise("descriptors")


def trends(looks: Sequence[Look]) -> Trends | None:
    """What looks at a server tell; None where there are too few of them."""
    kept = [look for look in looks if look.at >= WARM_UP * looks[-1].at]
    if len(kept) < FEWEST or kept[-1].at - kept[0].at < SHORTEST:
        return None
    half = len(kept) // 2
    minutes = (kept[-1].at - kept[0].at) / 2 / 60
    whole, first, second = (_slope(part, _mebibytes) for part in (kept, kept[:half], kept[half:]))
    tasks, descriptors = _level(kept, lambda one: one.tasks), _level(kept, lambda one: one.descriptors)
    return Trends(Growth(whole, first, second, minutes), tasks, descriptors)


def _level(looks: Sequence[Look], of: Callable[[Vitals], float]) -> Level:
    half = len(looks) // 2
    first, second = (median(of(look.vitals) for look in part) for part in (looks[:half], looks[half:]))
    return Level(first, second, _slope(looks, of))


def _slope(looks: Sequence[Look], of: Callable[[Vitals], float]) -> Slope:
    minutes = np.array([look.at / 60 for look in looks])
    return slope(minutes, np.array([of(look.vitals) for look in looks], dtype=np.float64))


def _mebibytes(vitals: Vitals) -> float:
    return vitals.memory / MIB
