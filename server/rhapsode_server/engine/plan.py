"""What the scheduler is told, and what it tells: plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from rhapsode_server.engine.job import Job
from rhapsode_server.errors import RhapsodeError
from rhapsode_server.observe.trace_context import TraceContext

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one model holds: jobs that are stepped in turn, jobs that wait for that; seconds to fill a batch."""

    slots: int = 64
    queue: int = 1024
    delay: float = 0.0
    crowd_delay: float = 0.0
    """The same after a batch of at least `crowd` jobs."""
    crowd: int = 4
    turn: int = 4
    """Runs that a row takes part in before another one has its place."""
    in_order: bool = False
    """Whether a row goes on before its job's later rows begin, so that pictures of many steps come one by one."""
    wait: float = float("inf")
    """Most seconds that a job may have to expect to wait for a slot."""
    parked: int = 128
    """Jobs that may be parked at a time."""
    long: float = 5.0
    """Seconds in a slot, while all are taken, above which a job is long: long ones have slots of their own."""


class Place(NamedTuple, Generic[RowT]):
    """A row's place in a batch."""

    job: Job[RowT]
    row: RowT
    runs: int = 1
    """How many runs of its turn the row has had with this one."""
    left: int = 1
    """Steps that the row wants at most, before this run."""


class Delivery(NamedTuple, Generic[RowT, EventT]):
    """What one run has to tell of one row; never without an event."""

    row: RowT
    events: Sequence[EventT]
    done: bool
    made: int
    """Tokens, pictures or latents that the run made for the row."""
    fleeting: bool = False
    """Whether it means nothing any more once a later one of the row has come."""


class Report(NamedTuple, Generic[RowT, EventT]):
    """What one run, or a deadline, did to one job."""

    job: Job[RowT]
    deliveries: Sequence[Delivery[RowT, EventT]] = ()
    closed: bool = False
    error: RhapsodeError | None = None


@dataclass(frozen=True, slots=True)
class Plan(Generic[RowT, EventT]):
    """The next batch (empty where no row is ready), jobs that it starts, and jobs whose deadline has passed."""

    batch: Sequence[Place[RowT]]
    started: Sequence[Job[RowT]]
    expired: Sequence[Report[RowT, EventT]]


def sampled(batch: Sequence[Place[RowT]]) -> TraceContext | None:
    """The trace of the first in a batch that has one which somebody keeps."""
    return next((place.job.trace for place in batch if place.job.trace and place.job.trace.sampled), None)
