"""What a run found, and what of it was promised."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from benchmarks.abuse.promise import Promise, at_least, at_most, exactly, told
from benchmarks.living.judging import Meant, Truth, offences, replaced
from benchmarks.living.load import Asked
from benchmarks.living.operator import Deed, Did
from benchmarks.soak.findings import SPARE
from benchmarks.soak.history import OK
from benchmarks.spread import percentile
from benchmarks.vitals import Vitals

GROWTH = 10.0  # MB that may be resident beyond what was before


@dataclass(frozen=True, slots=True)
class Findings:
    """All that came of a run."""

    asked: tuple[Asked, ...]
    truth: Truth
    meant: Meant
    deeds: tuple[Deed, ...]
    """Changes while clients asked."""
    wrong: tuple[Deed, ...]
    """Changes at any time that did not end as they should."""
    changed_at: float
    """When the changes began, by the clock of the records."""
    seconds: float
    """That they lasted."""
    lag_before: float
    """Seconds by which the event loop was late at most under the same load without changes."""
    lag: float
    """And in all."""
    fresh: Vitals
    """Idle, after each question had been asked once."""
    before: Vitals
    """Idle, after everything had been done that is done."""
    after: Vitals

    @property
    def failed(self) -> list[Asked]:
        """Requests that were not answered."""
        return [asked for asked in self.asked if asked.record.outcome != OK]

    @property
    def offences(self) -> list[str]:
        """All that is wrong with what clients were given."""
        return [text for asked in self.asked for text in offences(asked, self.truth, self.meant)]

    def promises(self) -> Iterator[Promise]:
        """What was promised, and what is told besides."""
        yield told(f"requests in {self.seconds:.1f} s of changes and before", len(self.asked))
        yield exactly("of them failed", len(self.failed), 0)
        yield exactly("of them without a version, or of one that the reference did not mean then", self._strange, 0)
        yield exactly("of them with other bytes than that version has alone", self._changed, 0)
        yield from self._changes()
        yield from self._memory()
        yield from self._costs()

    @property
    def _strange(self) -> int:
        return sum("names no version" in text or "was answered by" in text for text in self.offences)

    @property
    def _changed(self) -> int:
        return len(self.offences) - self._strange - len(self.failed)

    def _changes(self) -> Iterator[Promise]:
        loads = self._times("load")
        yield told("loads, in the place of what was served or beside it", len(loads))
        yield told("aliases switched", len(self._times("switch")))
        yield told("versions unloaded", len(self._times("unload")))
        yield told("loads that failed, as they should", len(self._times("failed load")))
        yield exactly("changes that ended otherwise than they should", len(self.wrong), 0)
        under_way = [asked for asked in self.asked if replaced(asked, self.meant)]
        yield told("requests whose model was replaced while they were under way", len(under_way))
        yield at_least("of them streams, which ended on it", sum(asked.streams for asked in under_way), 1)
        yield told("a load takes, median", median(loads or [0.0]) * 1e3, "ms")
        yield told("a load takes, longest", max(loads or [0.0]) * 1e3, "ms")

    def _memory(self) -> Iterator[Promise]:
        yield told("resident memory at first", self.fresh.memory / 1e6, "MB")
        yield told("resident memory before, after as many changes under the same load", self.before.memory / 1e6, "MB")
        grown = (self.after.memory - self.before.memory) / 1e6
        yield at_most("resident memory after, beyond before", grown, GROWTH, "MB")
        held = self.after.slots + self.after.queued + self.after.open_rpcs
        yield at_most("slots, waiting jobs and rpcs left over", held, 0)
        yield at_most("descriptors left over", max(0, self.after.descriptors - self.before.descriptors), SPARE)
        yield at_most("threads left over", max(0, self.after.threads - self.before.threads), SPARE)
        yield at_most("tasks left over", max(0, self.after.tasks - self.before.tasks), SPARE)

    def _costs(self) -> Iterator[Promise]:
        """What the changes cost those who ask meanwhile."""
        before = [asked for asked in self.asked if asked.record.started < self.changed_at]
        since = [asked for asked in self.asked if asked.record.started >= self.changed_at]
        for name, part in (("before", before), ("during", since)):
            yield told(f"unary requests {name} the changes, p99", percentile(_unary(part) or [0.0], 0.99) * 1e3, "ms")
        for name, part in (("before", before), ("during", since)):
            yield told(f"gap of a stream {name} the changes, p99", percentile(_gaps(part) or [0.0], 0.99) * 1e3, "ms")
            yield told(f"gap of a stream {name} the changes, slowest", max(_gaps(part) or [0.0]) * 1e3, "ms")
        yield told("event loop late before the changes, at most", self.lag_before * 1e3, "ms")
        yield told("event loop late in all, at most", self.lag * 1e3, "ms")

    def _times(self, did: Did) -> list[float]:
        return [deed.ended - deed.begun for deed in self.deeds if deed.did == did and not deed.wrong]


def _unary(asked: Sequence[Asked]) -> list[float]:
    return [one.record.endings[0].at - one.record.started for one in asked if not one.streams and one.record.endings]


def _gaps(asked: Sequence[Asked]) -> list[float]:
    """Between two messages of a stream that is read as fast as it comes."""
    moments = [[message.at for message in one.record.messages] for one in asked if one.streams and not one.still]
    return [later - earlier for each in moments for earlier, later in pairwise(each)]
