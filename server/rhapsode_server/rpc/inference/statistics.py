"""What ModelStatistics tells: requests of the protocol, counted here, and the runs of their graph, whoever asked."""

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from rhapsode.oip.inference_pb2 import InferBatchStatistics, InferStatistics, ModelStatistics, StatisticDuration
from rhapsode_server.engine.tally import Tally
from rhapsode_server.rpc.inference.models import Found
from rhapsode_server.rpc.served import TensorDriver


@dataclass(slots=True)
class Times:
    """How often something was done, and seconds in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Once more."""
        self.count += 1
        self.seconds += seconds

    def message(self) -> StatisticDuration:
        """As clients read it."""
        return StatisticDuration(count=self.count, ns=round(self.seconds * 1e9))


@dataclass(frozen=True, slots=True)
class Spent:
    """Where the time of a request went, in seconds."""

    reading: float
    queue: float
    running: float
    writing: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.reading + self.queue + self.running + self.writing


@dataclass(slots=True)
class _Count:
    """Of one graph since it was loaded."""

    success: Times = field(default_factory=Times)
    fail: Times = field(default_factory=Times)
    queue: Times = field(default_factory=Times)
    reading: Times = field(default_factory=Times)
    running: Times = field(default_factory=Times)
    writing: Times = field(default_factory=Times)


class Statistics:
    """The counts of all graphs; those of a graph that is let go are forgotten with it."""

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[TensorDriver, _Count] = WeakKeyDictionary()

    def succeeded(self, found: Found, spent: Spent) -> None:
        """A request was answered."""
        count = self._of(found)
        count.success.add(spent.total)
        count.reading.add(spent.reading)
        count.queue.add(spent.queue)
        count.running.add(spent.running)
        count.writing.add(spent.writing)

    def failed(self, found: Found, seconds: float) -> None:
        """A request was refused, failed or given up, so many seconds after it came."""
        self._of(found).fail.add(seconds)

    def message(self, found: Found) -> ModelStatistics:
        """What clients read of a graph."""
        count, tally = self._counts.get(found.driver, _Count()), found.driver.tally
        return ModelStatistics(
            name=found.name,
            version=found.version,
            last_inference=round((tally.last_run or 0.0) * 1000),
            inference_count=tally.rows,
            execution_count=tally.runs.number,
            batch_stats=_by_size(tally),
            inference_stats=InferStatistics(
                success=count.success.message(),
                fail=count.fail.message(),
                queue=count.queue.message(),
                compute_input=count.reading.message(),
                compute_infer=count.running.message(),
                compute_output=count.writing.message(),
                cache_hit=StatisticDuration(),
                cache_miss=StatisticDuration(),
            ),
        )

    def _of(self, found: Found) -> _Count:
        return self._counts.setdefault(found.driver, _Count())


def _by_size(tally: Tally) -> list[InferBatchStatistics]:
    return [
        InferBatchStatistics(
            batch_size=size,
            compute_input=StatisticDuration(count=runs.number),
            compute_infer=Times(runs.number, runs.seconds).message(),
            compute_output=StatisticDuration(count=runs.number),
        )
        for size, runs in sorted(tally.by_size.items())
    ]
