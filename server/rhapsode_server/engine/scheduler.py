"""Who steps next: rows of many jobs, joined into batches run by run.

Rules, each with a test of its own:

1. A job is queued until a slot is free, then active until its last row is done; then closed, for good.
2. A batch takes one row from each active job in turn, again and again, until it is full or no row is ready: no job
   starves, however many rows another one has. Rows of one job go in their order.
3. A row is in at most one batch at a time. It keeps its place for a turn of a few runs, so that its reader gets fewer,
   fuller messages; then it goes to the end of its job's rows, or before them where they are to end in order. The run
   that brings a job's first news ends the turn too: others wait for theirs.
4. A job that leaves (cancelled, expired, failed) takes its ready rows with it at once. Its rows in the run under way
   are computed and dropped; nothing of their batch-mates changes.
5. No row of a job whose deadline has passed is put into a batch.
6. A parked job keeps its rows and gives none to a batch.
7. The queue is bounded; what would exceed it is refused when it arrives, not later.
8. Where a delay is set, a batch that is not full waits so long for more, from the arrival of its first job on; never
   where a job among them has begun. After a batch of many jobs a longer delay may hold: a crowd comes back one by one.

Plain values: no clock (time is passed in), no threads, no sockets.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Generic, Literal, NamedTuple, TypeVar

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.errors import DeadlineExpired, QueueFull, RhapsodeError
from rhapsode_server.models.base import Outcome

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
SPARE_DEADLINES = 64  # of jobs that have left: fewer are not worth a clean-up


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one model holds: jobs that are stepped in turn, jobs that wait for that; seconds to fill a batch."""

    slots: int = 1024
    queue: int = 1024
    delay: float = 0.0
    crowd_delay: float = 0.0
    """The same after a batch of at least `crowd` jobs."""
    crowd: int = 4
    turn: int = 4
    """Runs that a row takes part in before another one has its place."""
    in_order: bool = False
    """Whether a row goes on before its job's later rows begin, so that pictures of many steps come one by one."""


class Place(NamedTuple, Generic[RowT]):
    """A row's place in a batch."""

    job: Job[RowT]
    row: RowT
    runs: int = 1
    """How many runs of its turn the row has had with this one."""


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


class Scheduler(Generic[RowT, EventT]):
    """Holds the jobs of one model and says which rows run next."""

    def __init__(self, max_batch: int, limits: Limits) -> None:
        self._max_batch = max_batch
        self._limits = limits
        self._queue: deque[Job[RowT]] = deque()
        self._active: set[Job[RowT]] = set()
        self._ring: deque[Job[RowT]] = deque()
        self._staying: list[Place[RowT]] = []
        self._crowded = False
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
    def next_event(self) -> float | None:
        """When `plan` has something to expire, or rows that it has held back, at the earliest."""
        deadline = self._deadlines[0][0] if self._deadlines else None
        return min((moment for moment in (deadline, self._held_until()) if moment is not None), default=None)

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
        held = self._held_until()
        if held is not None and now < held:
            return Plan(batch, started, expired)
        batch.extend(self._stay())
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
        if batch:
            self._crowded = len({place.job for place in batch}) >= self._limits.crowd
        return Plan(batch, started, expired)

    def complete(
        self, batch: Sequence[Place[RowT]], outcomes: Sequence[Outcome[EventT]], now: float
    ) -> list[Report[RowT, EventT]]:
        """Take a run's outcomes, one for each place: what to tell each job that is still there and has news."""
        grouped: dict[Job[RowT], list[tuple[Place[RowT], Outcome[EventT]]]] = {}
        for place, outcome in zip(batch, outcomes, strict=True):
            if place.job.stage is not Stage.CLOSED:
                grouped.setdefault(place.job, []).append((place, outcome))
        reports = [self._settle(job, results, now) for job, results in grouped.items()]
        self._fill_slots()
        return [report for report in reports if report.deliveries or report.closed]

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
        self, job: Job[RowT], results: Sequence[tuple[Place[RowT], Outcome[EventT]]], now: float
    ) -> Report[RowT, EventT]:
        error: RhapsodeError | None = None
        deliveries: list[Delivery[RowT, EventT]] = []
        returning: list[Place[RowT]] = []
        for place, outcome in results:
            first = bool(outcome.events) and job.first_event is None
            if first:
                job.first_event = now
            if outcome.events:
                deliveries.append(Delivery(place.row, outcome.events, outcome.done, outcome.made, outcome.fleeting))
            error = error or outcome.error
            if outcome.done:
                job.running -= 1
            elif place.runs < (1 if first else self._limits.turn):
                self._staying.append(place)
            else:
                returning.append(place)
        self._put_back(returning)
        if error or job.exhausted:
            job.complete = error is None
            self._retire(job, now)
            return Report(job, deliveries, closed=True, error=error)
        self._list(job)
        return Report(job, deliveries)

    def _put_back(self, places: Sequence[Place[RowT]]) -> None:
        """Take rows out of their places: to the end of their jobs' rows, or before them, in the same order."""
        for place in reversed(places) if self._limits.in_order else places:
            place.job.running -= 1
            if self._limits.in_order:
                place.job.ready.appendleft(place.row)
            else:
                place.job.ready.append(place.row)

    def _stay(self) -> Iterator[Place[RowT]]:
        """Take the rows that keep their places; one whose job is parked waits with it."""
        staying = [place for place in self._staying if place.job.stage is Stage.ACTIVE]
        self._staying = []
        self._put_back([place for place in staying if place.job.parked])
        return (Place(place.job, place.row, place.runs + 1) for place in staying if not place.job.parked)

    def _expire(self, now: float) -> Iterator[Report[RowT, EventT]]:
        while self._deadlines and self._deadlines[0][0] <= now:
            job = heapq.heappop(self._deadlines)[2]
            if job.stage is not Stage.CLOSED:
                self._close(job, now)
                yield Report(job, closed=True, error=DeadlineExpired("the deadline passed before the work was done"))

    def _held_until(self) -> float | None:
        """Until when the rows that are ready wait for more; None where they do not."""
        delay = max(self._limits.delay, self._limits.crowd_delay if self._crowded else 0.0)
        if not delay or any(place.job.stage is Stage.ACTIVE for place in self._staying):
            return None
        jobs = [job for job in self._ring if job.stage is Stage.ACTIVE and not job.parked]
        if not jobs or any(job.started is not None for job in jobs):
            return None
        full = sum(len(job.ready) for job in jobs) >= self._max_batch
        return None if full else min(job.arrived for job in jobs) + delay

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
