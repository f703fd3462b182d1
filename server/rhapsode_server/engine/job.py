"""One request's work on one model: some rows, each wanting some number of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from rhapsode_server.engine.backlog import Backlog
from rhapsode_server.engine.forecast import Work
from rhapsode_server.observe.trace_context import TraceContext

RowT = TypeVar("RowT")


class Stage(Enum):
    """Where a job stands."""

    QUEUED = auto()
    ACTIVE = auto()
    PARKED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a job's time went, in seconds since it arrived; None for what has not happened."""

    queue_seconds: float | None
    first_event_seconds: float | None
    total_seconds: float | None


class Job(Generic[RowT]):
    """A request's rows. Only the scheduler changes it; times are of the scheduler's clock, in seconds."""

    def __init__(
        self,
        rows: Sequence[RowT],
        arrived: float,
        deadline: float | None = None,
        trace: TraceContext | None = None,
        whole: bool = False,
    ) -> None:
        self.ready = Backlog(rows)
        self.running = 0
        """Rows that have a place in the run under way or in the next one."""
        self.stage = Stage.QUEUED
        self.work = Work(len(self.ready), len(self.ready), len(self.ready))
        self.long = False
        """Whether it stands with those that hold a slot for long."""
        self.listed = False
        """Whether the job stands in the scheduler's ring of jobs with ready rows."""
        self.deadline = deadline
        self.arrived = arrived
        self.whole = whole
        """Whether a part of what it makes is worth nothing."""
        self.trace = trace
        """The trace of the request whose work it is."""
        self.complete = False
        """Whether its last row is done, and nothing went wrong."""
        self.started: float | None = None
        self.first_event: float | None = None
        self.ended: float | None = None

    @property
    def parked(self) -> bool:
        """Whether it has given its slot up, since its reader is slow."""
        return self.stage is Stage.PARKED

    @property
    def exhausted(self) -> bool:
        """Whether no row wants another step."""
        return not self.ready and not self.running

    @property
    def timings(self) -> Timings:
        """What is known so far."""
        queue, first, total = (
            None if moment is None else moment - self.arrived for moment in (self.started, self.first_event, self.ended)
        )
        return Timings(queue, first, total)

    def __repr__(self) -> str:
        return f"<Job {self.stage.name.lower()} ready={len(self.ready)} running={self.running}>"
