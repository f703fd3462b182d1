"""Who steps next: rows of many jobs, joined into batches run by run.

Rules, each with a test of its own:

1. A job is queued until a slot is free, then active until its last row is done; then closed, for good. Those that
   would hold their slots for long have slots of their own, so that brief ones wait for brief ones only.
2. A batch takes one row from each active job in turn, again and again, until it is full or no row is ready: no job
   starves, however many rows another one has. Rows of one job go in their order.
3. A row is in at most one batch at a time. It keeps its place for a turn of a few runs, so that its reader gets fewer,
   fuller messages; then it goes to the end of its job's rows, or before them where they are to end in order. The run
   that brings a job's first news ends the turn too: others wait for theirs.
4. A job that leaves (cancelled, expired, failed) takes its ready rows with it at once. Its rows in the run under way
   are computed and dropped; nothing of their batch-mates changes.
5. No row of a job whose deadline has passed is put into a batch.
6. A parked job keeps its rows, gives none to a batch, and gives its slot up; unparked, it gets the next one that is
   free. Where too many are parked, the one that has been so for longest ends.
7. The queue is bounded, by number and by the wait that is to be expected; what would exceed it is refused when it
   arrives, not later. So is what could not be done by its deadline; what might be is accepted.
8. Where a delay is set, a batch that is not full waits so long for more, from the arrival of its first job on; never
   where a job among them has begun. After a batch of many jobs a longer delay may hold: a crowd comes back one by one.

Plain values: no clock (time is passed in), no threads, no sockets.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Generic, Literal, NamedTuple, TypeVar

from rhapsode_server.engine.forecast import Forecast, Work
from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.plan import Delivery, Limits, Place, Plan, Report
from rhapsode_server.engine.slots import Slots
from rhapsode_server.errors import ClientTooSlow, DeadlineExpired, RhapsodeError
from rhapsode_server.models.base import Outcome, Wanted, one_step

__all__ = ["Delivery", "Limits", "Place", "Plan", "Report", "Scheduler"]

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
ASKED = 64  # rows of a job that speak for all of them: to ask 100,000 would hold others up
SPARE_DEADLINES = 64  # of jobs that have left: fewer are not worth a clean-up


class Scheduler(Generic[RowT, EventT]):
    """Holds the jobs of one model and says which rows run next."""

    def __init__(self, max_batch: int, limits: Limits, wants: Callable[[RowT], Wanted] = one_step) -> None:
        self._max_batch = max_batch
        self._limits = limits
        self._wants = wants
        self._forecast = Forecast(max_batch)
        self._slots: Slots[RowT] = Slots(limits, self._forecast)
        self._ring: deque[Job[RowT]] = deque()
        self._staying: list[Place[RowT]] = []
        self._many_came = False
        self._deadlines: list[tuple[float, int, Job[RowT]]] = []
        self._order = count()
        self._began = 0.0

    @property
    def queued(self) -> int:
        """Jobs that wait for a slot."""
        return self._slots.queued

    @property
    def active(self) -> int:
        """Jobs that hold a slot."""
        return self._slots.active

    @property
    def parked(self) -> int:
        """Jobs that have given their slots up until their readers have caught up."""
        return len(self._slots.parked)

    @property
    def room(self) -> int:
        """Jobs that may hold a slot now."""
        return self._slots.room

    def expected_wait(self, now: float) -> float:
        """Seconds that a job which comes now has to expect to wait for a slot; 0 while the speed is not known."""
        return self._slots.wait(now)

    @property
    def next_event(self) -> float | None:
        """When `plan` has something to expire, or rows that it has held back, at the earliest."""
        deadline = self._deadlines[0][0] if self._deadlines else None
        return min((moment for moment in (deadline, self._held_until()) if moment is not None), default=None)

    def check_room(self, rows: int, steps: int, now: float) -> None:
        """Raises QueueFull where `add` would for a job of so many rows of at most so many steps."""
        self._slots.check_room(Work(rows, rows * steps, rows), now)

    def add(self, job: Job[RowT], now: float) -> None:
        """Accept a job. Raises DeadlineExpired, QueueFull or DeadlineTooShort."""
        wanted = [self._wants(row) for row in job.ready.first(ASKED)]
        share = len(job.ready) / max(1, len(wanted))
        least, most = sum(each.least for each in wanted), sum(each.most for each in wanted)
        job.work = Work(len(job.ready), round(share * most), round(share * least), certain=least == most)
        self._slots.admit(job, now)
        if job.deadline is not None:
            heapq.heappush(self._deadlines, (job.deadline, next(self._order), job))
        self._fill_slots()

    def cancel(self, job: Job[RowT], now: float) -> Literal["queued", "running"] | None:
        """Drop a job, wherever it stands: where it stood, or None if it was closed already."""
        if job.stage is Stage.CLOSED:
            return None
        stage: Literal["queued", "running"] = "running" if job.started is not None else "queued"
        self._close(job, now)
        return stage

    def park(self, job: Job[RowT], now: float) -> list[Report[RowT, EventT]]:
        """Give no rows of this job to a batch, nor a slot to it, until it is unparked: whom that ends, if anybody."""
        if job.stage in (Stage.CLOSED, Stage.PARKED):
            return []
        longest = self._slots.park(job)
        if longest is not None:
            self._retire(longest, now)
        self._fill_slots()
        error = ClientTooSlow("what the request had made was left untaken, and others' readers are slow too")
        return [] if longest is None else [Report(longest, closed=True, error=error)]

    def unpark(self, job: Job[RowT]) -> None:
        """Undo `park`."""
        if job.stage is Stage.PARKED:
            self._slots.unpark(job)
            self._fill_slots()

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
            if job.stage is not Stage.ACTIVE:
                continue
            if job.started is None:
                job.started = now
                started.append(job)
            row = job.ready.popleft()
            batch.append(Place(job, row, left=self._wants(row).most))
            job.running += 1
            self._list(job)
        if batch:
            self._began = now
            self._slots.run_begins(now)
            self._many_came = len({place.job for place in batch}) >= self._limits.crowd
        return Plan(batch, started, expired)

    def complete(
        self, batch: Sequence[Place[RowT]], outcomes: Sequence[Outcome[EventT]], now: float
    ) -> list[Report[RowT, EventT]]:
        """Take a run's outcomes, one for each place: what to tell each job that is still there and has news."""
        grouped: dict[Job[RowT], list[_Result[RowT, EventT]]] = {}
        steps = 0
        for place, outcome in zip(batch, outcomes, strict=True):
            left = 0 if outcome.done else self._wants(place.row).most
            result = _Result(place, outcome, left, _taken(place, outcome, left))
            steps = max(steps, result.steps)
            if place.job.stage is not Stage.CLOSED:
                grouped.setdefault(place.job, []).append(result)
        self._forecast.ran(len(batch), steps, now - self._began)
        self._slots.run_ended(now)
        reports = [self._settle(job, results, now) for job, results in grouped.items()]
        self._fill_slots()
        return [report for report in reports if report.deliveries or report.closed]

    def fail(self, batch: Sequence[Place[RowT]], error: RhapsodeError, now: float) -> list[Report[RowT, EventT]]:
        """The run failed as a whole: its jobs end with the error."""
        return self.complete(batch, [Outcome(done=True, error=error)] * len(batch), now)

    def clear(self, error: RhapsodeError, now: float) -> list[Report[RowT, EventT]]:
        """End every job with the error."""
        reports: list[Report[RowT, EventT]] = []
        for job in self._slots:
            self._retire(job, now)
            reports.append(Report(job, closed=True, error=error))
        return reports

    def _settle(self, job: Job[RowT], results: "Sequence[_Result[RowT, EventT]]", now: float) -> Report[RowT, EventT]:
        error: RhapsodeError | None = None
        deliveries: list[Delivery[RowT, EventT]] = []
        returning: list[Place[RowT]] = []
        for place, outcome, left, _ in results:
            first = bool(outcome.events) and job.first_event is None
            if first:
                job.first_event = now
            if outcome.events:
                deliveries.append(Delivery(place.row, outcome.events, outcome.done, outcome.made, outcome.fleeting))
            error = error or outcome.error
            if outcome.done:
                job.running -= 1
            elif place.runs < (1 if first else self._limits.turn):
                self._staying.append(place._replace(runs=place.runs + 1, left=left))
            else:
                returning.append(place)
        job.work.took(
            rows=sum(result.outcome.done for result in results),
            left=sum(result.place.left - result.left for result in results),
            steps=sum(result.steps for result in results),
        )
        self._put_back(returning)
        if error or job.exhausted:
            job.complete = error is None
            if job.complete:
                self._forecast.ended(job.work)
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
        """Take the rows that keep their places; one whose job has no slot any more waits with it."""
        staying = [place for place in self._staying if place.job.stage is not Stage.CLOSED]
        self._staying = []
        self._put_back([place for place in staying if place.job.stage is not Stage.ACTIVE])
        return (place for place in staying if place.job.stage is Stage.ACTIVE)

    def _expire(self, now: float) -> Iterator[Report[RowT, EventT]]:
        while self._deadlines and self._deadlines[0][0] <= now:
            job = heapq.heappop(self._deadlines)[2]
            if job.stage is not Stage.CLOSED:
                self._close(job, now)
                yield Report(job, closed=True, error=DeadlineExpired("the deadline passed before the work was done"))

    def _held_until(self) -> float | None:
        """Until when the rows that are ready wait for more; None where they do not."""
        delay = max(self._limits.delay, self._limits.crowd_delay if self._many_came else 0.0)
        if not delay or any(place.job.stage is Stage.ACTIVE for place in self._staying):
            return None
        jobs = [job for job in self._ring if job.stage is Stage.ACTIVE]
        if not jobs or any(job.started is not None for job in jobs):
            return None
        full = sum(len(job.ready) for job in jobs) >= self._max_batch
        return None if full else min(job.arrived for job in jobs) + delay

    def _list(self, job: Job[RowT]) -> None:
        """Put a job at the end of the ring, if it has something to run."""
        if job.stage is Stage.ACTIVE and job.ready and not job.listed:
            job.listed = True
            self._ring.append(job)

    def _close(self, job: Job[RowT], now: float) -> None:
        self._retire(job, now)
        self._fill_slots()

    def _retire(self, job: Job[RowT], now: float) -> None:
        self._slots.leave(job)
        job.stage, job.ended = Stage.CLOSED, now
        job.ready.clear()
        if len(self._deadlines) > 2 * len(self._slots) + SPARE_DEADLINES:
            # Jobs that left early would otherwise stay in memory until their deadlines.
            self._deadlines = [entry for entry in self._deadlines if entry[2].stage is not Stage.CLOSED]
            heapq.heapify(self._deadlines)

    def _fill_slots(self) -> None:
        for job in self._slots.fill():
            self._list(job)


class _Result(NamedTuple, Generic[RowT, EventT]):
    """What a run did to the row of one place, the steps that it wants still, and those that were taken."""

    place: Place[RowT]
    outcome: Outcome[EventT]
    left: int
    steps: int


def _taken(place: Place[RowT], outcome: Outcome[EventT], left: int) -> int:
    """Steps that a run took with a row; with one that has ended early as many as it made, with one that failed none."""
    if outcome.error is not None:
        return 0
    taken = place.left - left
    return min(taken, outcome.made) if outcome.done and outcome.made else taken
