"""What a soak found, and what of it was promised."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.abuse.promise import Figures, Promise, at_most, exactly, told
from benchmarks.report import Sheet
from benchmarks.soak.faults import CHURN, HARMLESS
from benchmarks.soak.history import OK
from benchmarks.soak.load import Ended, Told
from benchmarks.soak.reloading import Reloads
from benchmarks.soak.trends import MIB, Trends, trends
from benchmarks.soak.watch import Look
from benchmarks.spread import percentile
from benchmarks.vitals import Vitals

SPARE = 2  # descriptors and tasks that may be open beside those before: the page's own reader, a timer


@dataclass(frozen=True, slots=True)
class Findings:
    """All that came of a soak."""

    seconds: float
    rate: float
    seed: int
    told: Told
    reloads: Reloads
    looks: tuple[Look, ...]
    before: Vitals
    """Idle, after every question had been asked once."""
    after: Vitals
    """As near to that as it came, when nobody asked any more."""
    exit_code: int | None = 0

    @property
    def trends(self) -> Trends | None:
        """Where memory, tasks and descriptors went while it was loaded; None where there are too few looks to say."""
        return trends(self.looks)

    @property
    def cores(self) -> float:
        """CPU seconds of the server for each second of the load."""
        first, last = self.looks[0], self.looks[-1]
        return (last.vitals.cpu_seconds - first.vitals.cpu_seconds) / max(1e-9, last.at - first.at)

    def promises(self) -> Iterator[Promise]:
        """What was promised, and what is told besides."""
        yield from self._requests()
        if self.reloads.done or self.reloads.failures:
            yield told("models loaded anew meanwhile", self.reloads.done)
            yield exactly("loads that failed", len(self.reloads.failures), 0)
        found = self.trends
        if found is None:
            yield told("memory after the warm-up: too few looks; grown in all", self._grown, "MiB")
        else:
            yield from found.promises()
            yield told("memory grown in all", self._grown, "MiB")
        yield at_most("slots, waiting jobs and rpcs left over", _held(self.after), 0)
        yield at_most("descriptors left over", max(0, self.after.descriptors - self.before.descriptors), SPARE)
        yield at_most("tasks left over", max(0, self.after.tasks - self.before.tasks), SPARE)
        yield told("CPU of the server", self.cores, "cores")
        yield exactly("exit code of the stop", self.exit_code, 0)

    def _requests(self) -> Iterator[Promise]:
        ended = self.told.ended
        yield exactly(f"offences in {len(ended):,} histories", len(self.told.offences), 0)
        plain = [one for one in ended if one.fault in ("", CHURN)]
        yield exactly(f"failures of {len(plain):,} unspoilt requests", sum(one.outcome != OK for one in plain), 0)
        spoilt = sum(one.fault not in ("", *HARMLESS) for one in ended)
        yield told("requests with a fault", 100 * spoilt / max(1, len(ended)), "%")
        yield told("requests that were read frame by frame", sum(one.frames for one in ended))

    @property
    def _grown(self) -> float:
        return (self.after.memory - self.before.memory) / MIB


def promise_sheet(findings: Figures, title: str) -> Sheet:
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
        if not one.fault and one.outcome == OK:
            times.setdefault(one.kind, []).append(one.seconds * 1e3)
    lines = tuple(
        (kind, f"{len(taken):,}", f"{percentile(taken, 0.5):,.1f}", f"{percentile(taken, 0.99):,.1f}")
        for kind, taken in sorted(times.items())
    )
    return Sheet("Unspoilt requests", ("kind", "requests", "p50 ms", "p99 ms"), lines)


def _held(vitals: Vitals) -> int:
    return vitals.slots + vitals.queued + vitals.open_rpcs
