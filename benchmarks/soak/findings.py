"""What a soak found, and what of it was promised."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.report import Sheet
from benchmarks.soak.load import Ended, Told
from benchmarks.soak.slopes import Slope, slope
from benchmarks.soak.watch import Look
from benchmarks.spread import percentile
from benchmarks.vitals import Vitals

WARM_UP = 0.25  # the share of the time that counts as warming up
FEWEST = 24  # looks after it from which a slope says something
SHORTEST = 120.0  # seconds that they must span
MEGABYTES_A_MINUTE = 1.0
MIB = 2**20
STEP = 1.0  # MiB that the allocator may take at once, in either half: that is no trend
SPARE = 2  # descriptors and tasks that may be open beside those before: the page's own reader, a timer


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


@dataclass(frozen=True, slots=True)
class Findings:
    """All that came of a soak."""

    seconds: float
    rate: float
    seed: int
    told: Told
    looks: tuple[Look, ...]
    before: Vitals
    """Idle, after every question had been asked once."""
    after: Vitals
    """As near to that as it came, when nobody asked any more."""
    exit_code: int | None = 0

    @property
    def growth(self) -> Growth | None:
        """How memory grew; None where there are too few looks to say."""
        kept = [look for look in self.looks if look.at >= WARM_UP * self.looks[-1].at]
        if len(kept) < FEWEST or kept[-1].at - kept[0].at < SHORTEST:
            return None
        half = len(kept) // 2
        minutes = (kept[-1].at - kept[0].at) / 2 / 60
        return Growth(_slope(kept), _slope(kept[:half]), _slope(kept[half:]), minutes)

    @property
    def cores(self) -> float:
        """CPU seconds of the server for each second of the load."""
        first, last = self.looks[0], self.looks[-1]
        return (last.vitals.cpu_seconds - first.vitals.cpu_seconds) / max(1e-9, last.at - first.at)

    def promises(self) -> Iterator[Promise]:
        """What was promised, and what is told besides."""
        ended = self.told.ended
        yield exactly(f"offences in {len(ended):,} histories", len(self.told.offences), 0)
        plain = [one for one in ended if not one.fault]
        yield exactly(f"failures of {len(plain):,} unspoilt requests", sum(one.outcome != "OK" for one in plain), 0)
        yield from self._memory()
        yield at_most("slots, waiting jobs and rpcs left over", _held(self.after), 0)
        yield at_most("descriptors left over", max(0, self.after.descriptors - self.before.descriptors), SPARE)
        yield at_most("tasks left over", max(0, self.after.tasks - self.before.tasks), SPARE)
        yield told("CPU of the server", self.cores, "cores")
        yield exactly("exit code of the stop", self.exit_code, 0)

    def _memory(self) -> Iterator[Promise]:
        growth = self.growth
        if growth is None:
            yield told("memory after the warm-up: too few looks; grown in all", self._grown, "MiB")
            return
        bound = f"< {MEGABYTES_A_MINUTE:g} MiB/min"
        yield Promise(
            "memory slope after the warm-up", str(growth.whole), bound, growth.whole.middle < MEGABYTES_A_MINUTE
        )
        halves = f"{growth.first.middle:+.2f}, then {growth.second}"
        yield Promise(
            "memory slope by halves", halves, f"falling, or not surely above {STEP / growth.half:.2f}", growth.falls
        )
        yield told("memory grown in all", self._grown, "MiB")

    @property
    def _grown(self) -> float:
        return (self.after.memory - self.before.memory) / MIB


def promise_sheet(findings: Findings, title: str) -> Sheet:
    """A line for each promise."""
    lines = tuple(
        (promise.text, promise.value, promise.bound, ("yes" if promise.held else "NO") if promise.bound else "")
        for promise in findings.promises()
    )
    return Sheet(title, ("promise", "figure", "bound", "held"), lines)


def outcome_sheet(ended: Sequence[Ended]) -> Sheet:
    """What became of requests, by what was wrong with them."""
    counts: dict[str, Counter[str]] = {}
    for one in ended:
        counts.setdefault(one.fault or "nothing", Counter())[one.outcome] += 1
    lines = tuple(
        (fault, f"{count.total():,}", ", ".join(f"{number:,} {outcome}" for outcome, number in count.most_common()))
        for fault, count in sorted(counts.items(), key=lambda pair: -pair[1].total())
    )
    return Sheet("Requests by what was wrong with them", ("fault", "requests", "outcomes"), lines)


def time_sheet(ended: Sequence[Ended]) -> Sheet:
    """How long unspoilt requests took, by kind."""
    times: dict[str, list[float]] = {}
    for one in ended:
        if not one.fault and one.outcome == "OK":
            times.setdefault(one.kind, []).append(one.seconds * 1e3)
    lines = tuple(
        (kind, f"{len(taken):,}", f"{percentile(taken, 0.5):,.1f}", f"{percentile(taken, 0.99):,.1f}")
        for kind, taken in sorted(times.items())
    )
    return Sheet("Unspoilt requests", ("kind", "requests", "p50 ms", "p99 ms"), lines)


def _held(vitals: Vitals) -> int:
    return vitals.slots + vitals.queued + vitals.open_rpcs


def _slope(looks: Sequence[Look]) -> Slope:
    minutes = np.array([look.at / 60 for look in looks])
    return slope(minutes, np.array([look.vitals.memory / MIB for look in looks]))
