"""Who steps next: rows of many jobs, joined into batches run by run.

Rules, each with a test of its own:

1. A job is queued until a slot is free, then active until its last row is done; then closed, for good.
2. A batch takes one row from each active job in turn, again and again, until it is full or no row is ready: no job
   starves, however many rows another one has. Rows of one job go in their order.
3. A row is in at most one batch at a time; after its run it goes to the end of its job's rows, unless it is done.
4. A job that leaves (cancelled, expired, failed) takes its ready rows with it at once. Its rows in the run under way
   are computed and dropped; nothing of their batch-mates changes.
5. No row of a job whose deadline has passed is put into a batch.
6. A parked job keeps its rows and gives none to a batch.
7. The queue is bounded; what would exceed it is refused when it arrives, not later.

Plain values: no clock (time is passed in), no threads, no sockets.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, Literal, TypeVar

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.errors import DeadlineExpired, QueueFull, RhapsodeError
from rhapsode_server.models.base import Outcome

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
SPARE_DEADLINES = 64  # of jobs that have left: fewer are not worth a clean-up


@dataclass(frozen=True, slots=True)
class Limits:
    """How much work one model holds: jobs that are stepped in turn, and jobs that wait for that."""

    slots: int = 1024
    queue: int = 1024


@dataclass(frozen=True, slots=True)
class Place(Generic[RowT]):
    """A row's place in a batch."""

    job: Job[RowT]
    row: RowT


@dataclass(frozen=True, slots=True)
class Delivery(Generic[RowT, EventT]):
    """What one run has to tell of one row; never without an event."""

    row: RowT
    events: Sequence[EventT]
    done: bool


@dataclass(frozen=True, slots=True)
class Report(Generic[RowT, EventT]):
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


class Scheduler(Generic[RowT, EventT]):
    """Holds the jobs of one model and says which rows run next."""

    def __init__(self, max_batch: int, limits: Limits) -> None:
        self._max_batch = max_batch
        self._limits = limits
        self._queue: deque[Job[RowT]] = deque()
        self._active: set[Job[RowT]] = set()
        self._ring: deque[Job[RowT]] = deque()
        self._deadlines: list[tuple[float, int, Job[RowT]]] = []
        self._order = count()

    @property
    def queued(self) -> int:
        """Jobs that wait for a slot."""
        return len(self._queue)

    @property
    def active(self) -> int:
        """Jobs that hold a slot."""
        return len(self._active)

    @property
    def next_deadline(self) -> float | None:
        """When `plan` has something to expire, at the earliest."""
        return self._deadlines[0][0] if self._deadlines else None

    def add(self, job: Job[RowT], now: float) -> None:
        """Accept a job. Raises DeadlineExpired or QueueFull."""
        if job.deadline is not None and job.deadline <= now:
            raise DeadlineExpired("the deadline had passed when the request arrived")
        if len(self._active) >= self._limits.slots and len(self._queue) >= self._limits.queue:
            raise QueueFull(
                f"the model already holds {len(self._active)} requests, and {len(self._queue)} wait",
                {"slots": str(self._limits.slots), "queue": str(self._limits.queue)},
            )
        if job.deadline is not None:
            heapq.heappush(self._deadlines, (job.deadline, next(self._order), job))
        self._queue.append(job)
        self._fill_slots()

    def cancel(self, job: Job[RowT], now: float) -> Literal["queued", "running"] | None:
        """Drop a job, wherever it stands: where it stood, or None if it was closed already."""
        if job.stage is Stage.CLOSED:
            return None
        stage: Literal["queued", "running"] = "running" if job.started is not None else "queued"
        self._close(job, now)
        return stage

    def park(self, job: Job[RowT]) -> None:
        """Give no rows of this job to a batch until it is unparked."""
        job.parked = True

    def unpark(self, job: Job[RowT]) -> None:
        """Undo `park`."""
        job.parked = False
        self._list(job)

    def plan(self, now: float) -> Plan[RowT, EventT]:
        """Expire what is late and choose the next batch."""
        expired = list(self._expire(now))
        batch: list[Place[RowT]] = []
        started: list[Job[RowT]] = []
        while self._ring and len(batch) < self._max_batch:
            job = self._ring.popleft()
            job.listed = False
            if job.stage is not Stage.ACTIVE or job.parked:
                continue
            if job.started is None:
                job.started = now
                started.append(job)
            batch.append(Place(job, job.ready.popleft()))
            job.running += 1
            self._list(job)
        return Plan(batch, started, expired)

    def complete(
        self, batch: Sequence[Place[RowT]], outcomes: Sequence[Outcome[EventT]], now: float
    ) -> list[Report[RowT, EventT]]:
        """Take a run's outcomes, one for each place: what to tell each job that is still there."""
        grouped: dict[Job[RowT], list[tuple[RowT, Outcome[EventT]]]] = {}
        for place, outcome in zip(batch, outcomes, strict=True):
            place.job.running -= 1
            if place.job.stage is not Stage.CLOSED:
                grouped.setdefault(place.job, []).append((place.row, outcome))
        reports = [self._settle(job, results, now) for job, results in grouped.items()]
        self._fill_slots()
        return reports

    def fail(self, batch: Sequence[Place[RowT]], error: RhapsodeError, now: float) -> list[Report[RowT, EventT]]:
        """The run failed as a whole: its jobs end with the error."""
        return self.complete(batch, [Outcome(done=True, error=error)] * len(batch), now)

    def clear(self, error: RhapsodeError, now: float) -> list[Report[RowT, EventT]]:
        """End every job with the error."""
        reports: list[Report[RowT, EventT]] = []
        for job in (*self._active, *self._queue):
            self._retire(job, now)
            reports.append(Report(job, closed=True, error=error))
        return reports

    def _settle(
        self, job: Job[RowT], results: Sequence[tuple[RowT, Outcome[EventT]]], now: float
    ) -> Report[RowT, EventT]:
        error = next((outcome.error for _, outcome in results if outcome.error), None)
        deliveries = [Delivery(row, outcome.events, outcome.done) for row, outcome in results if outcome.events]
        if deliveries and job.first_event is None:
            job.first_event = now
        job.ready.extend(row for row, outcome in results if not outcome.done)
        if error or job.exhausted:
            self._retire(job, now)
            return Report(job, deliveries, closed=True, error=error)
        self._list(job)
        return Report(job, deliveries)

    def _expire(self, now: float) -> Iterator[Report[RowT, EventT]]:
        while self._deadlines and self._deadlines[0][0] <= now:
            job = heapq.heappop(self._deadlines)[2]
            if job.stage is not Stage.CLOSED:
                self._close(job, now)
                yield Report(job, closed=True, error=DeadlineExpired("the deadline passed before the work was done"))

    def _list(self, job: Job[RowT]) -> None:
        """Put a job at the end of the ring, if it has something to run."""
        if job.stage is Stage.ACTIVE and job.ready and not job.parked and not job.listed:
            job.listed = True
            self._ring.append(job)

    def _close(self, job: Job[RowT], now: float) -> None:
        self._retire(job, now)
        self._fill_slots()

    def _retire(self, job: Job[RowT], now: float) -> None:
        if job.stage is Stage.QUEUED:
            self._queue.remove(job)
        self._active.discard(job)
        job.stage, job.ended = Stage.CLOSED, now
        job.ready.clear()
        if len(self._deadlines) > 2 * (len(self._active) + len(self._queue)) + SPARE_DEADLINES:
            # Jobs that left early would otherwise stay in memory until their deadlines.
            self._deadlines = [entry for entry in self._deadlines if entry[2].stage is not Stage.CLOSED]
            heapq.heapify(self._deadlines)

    def _fill_slots(self) -> None:
        while self._queue and len(self._active) < self._limits.slots:
            job = self._queue.popleft()
            job.stage = Stage.ACTIVE
            self._active.add(job)
            self._list(job)
