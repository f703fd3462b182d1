"""The thread that drives a model: plan, run, complete, and tell the event loop in one wake-up."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rhapsode_server.engine.attempt import Run, attempt, failure_of, was_run
from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.engine.condition import Condition, Mood
from rhapsode_server.engine.job import Job
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Limits, Place, Plan, Report, Scheduler
from rhapsode_server.engine.tally import Tally
from rhapsode_server.engine.witness import Witness
from rhapsode_server.errors import DriverDied, RhapsodeError, ShuttingDown
from rhapsode_server.models.base import Model
from rhapsode_server.observe.lanes import Jobs, LaneMetrics
from rhapsode_server.observe.trace_context import CURRENT
from rhapsode_server.observe.traces import LaneSpans

T = TypeVar("T")
RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
LET_GO = 2.0  # seconds that a stop waits for the run under way


class Driver(Generic[RowT, EventT]):
    """Steps the jobs of one model in a thread of its own. Everything but that thread lives in the event loop."""

    def __init__(
        self,
        name: str,
        model: Model[RowT, EventT],
        limits: Limits,
        metrics: LaneMetrics,
        clock: Callable[[], float] = time.monotonic,
        spans: LaneSpans | None = None,
        mood: Mood = lambda _: None,
        breaker: Breaker | None = None,
    ) -> None:
        self.name = name
        """"<model>@<version>/<role>"."""
        self.run: Run | None = None
        """The run under way, None between two; set by the thread."""
        self._runs = 0
        self._condition = Condition(breaker or Breaker(), mood, metrics.failed, self._in_loop)
        self._model = model
        self._metrics = metrics
        self._clock = clock
        self._witness = Witness(metrics, spans, clock)
        self._scheduler: Scheduler[RowT, EventT] = Scheduler(model.max_batch, limits, model.wants)
        self._outboxes: dict[Job[RowT], Outbox[RowT, EventT]] = {}
        self._changed = threading.Condition()  # guards the scheduler
        self._stopping = False
        self._thread = threading.Thread(target=self._drive, name=f"drive-{name}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        metrics.foretell(lambda: self.expected_wait)

    def start(self) -> None:
        """Begin; called in the event loop that will read the outboxes."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End every job with ShuttingDown, and the thread after the run under way; one that hangs is left behind."""
        with self._changed:
            self._stopping = True
            reports = self._scheduler.clear(ShuttingDown("the server is shutting down"), self._clock())
            self._count_jobs()
            self._changed.notify()
        self._publish(reports)
        self._condition.close()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, LET_GO)

    async def retire(self) -> None:
        """Stop after the run under way, however long that takes, and hold on to nothing: freed with its last user."""
        await self.stop()
        while self._thread.is_alive():  # a run that hangs is the watchdog's business
            await asyncio.to_thread(self._thread.join, LET_GO)
        self.own_gauges(False)
        self._condition.forget()

    def call_off(self) -> None:
        """Never mind: nothing was submitted, and it may not have begun. A thread that there is ends by itself."""
        with self._changed:
            self._stopping = True
            self._metrics.rest()
            self._changed.notify()
        self._condition.close()
        self._condition.forget()

    def own_gauges(self, own: bool) -> None:
        """Set the gauges of its lane from now on, or leave them to another."""
        with self._changed:
            if own:
                self._metrics.foretell(lambda: self.expected_wait)
                self._count_jobs()
            else:
                self._metrics.rest()

    def give_up(self, error: RhapsodeError) -> None:
        """End every job with the error, and refuse all that come: the thread hangs, or the device is lost."""
        with self._changed:
            self._condition.breaker.condemn(error)
            reports = self._scheduler.clear(error, self._clock())
            self._count_jobs()
        self._publish(reports)

    def submit(self, rows: Sequence[RowT], deadline: float | None, pace: Pace) -> Outbox[RowT, EventT]:
        """Accept work: its outbox, to be entered as a context. `deadline` is a time of the clock.

        Raises ShuttingDown, QueueFull, DeadlineTooShort, DeadlineExpired or ModelUnhealthy, with nothing kept.
        """
        now = self._clock()
        job = Job(rows, now, deadline, CURRENT.get(), pace.whole)
        try:
            with self._changed:
                self._check_open(now)
                self._scheduler.add(job, now)
                self._condition.breaker.accepted(now)
                self._count_jobs()
                self._changed.notify()
        except RhapsodeError as error:
            self._metrics.rejected(error.reason)
            raise
        outbox: Outbox[RowT, EventT] = Outbox(job, self, pace, self._clock)
        self._outboxes[job] = outbox
        return outbox

    def check_room(self, rows: int, steps: int) -> None:
        """Raise what `submit` would for want of room, for so many rows of at most so many steps.

        To ask is cheaper than to make them in vain.
        """
        now = self._clock()
        try:
            with self._changed:
                self._check_open(now)
                self._scheduler.check_room(rows, steps, now)
        except RhapsodeError as error:
            self._metrics.rejected(error.reason)
            raise

    @property
    def crowd(self) -> int:
        """Jobs that are open now."""
        return len(self._outboxes)

    @property
    def tally(self) -> Tally:
        """What it has done so far."""
        return self._witness.tally

    @property
    def jobs(self) -> Jobs:
        """Where its jobs stand now."""
        with self._changed:
            held = self._scheduler
            return Jobs(held.queued, held.active, held.parked, held.room)

    @property
    def expected_wait(self) -> float:
        """Seconds that a job which comes now has to expect to wait for a slot."""
        with self._changed:
            return self._scheduler.expected_wait(self._clock())

    def park(self, job: Job[RowT]) -> None:
        """The job's reader is slow: keep its rows, spend nothing on them."""
        with self._changed:
            before = job.stage
            reports = self._scheduler.park(job, self._clock())
            if job.stage is not before:  # it may have ended since
                self._metrics.stalled()
            self._count_jobs()
            self._changed.notify()
        self._publish(reports)

    def unpark(self, job: Job[RowT]) -> None:
        """The job's reader has caught up."""
        with self._changed:
            self._scheduler.unpark(job)
            self._count_jobs()
            self._changed.notify()

    def leave(self, job: Job[RowT], told: bool) -> None:
        """The job's reader has gone: drop what is unfinished, and what it has not taken."""
        self._outboxes.pop(job, None)
        with self._changed:
            stage = self._scheduler.cancel(job, self._clock())
            if stage is not None:
                self._metrics.cancelled(stage)
                if stage == "queued":
                    self._witness.queued(job)
                self._count_jobs()
                self._changed.notify()
            elif job.complete and not told:
                self._metrics.cancelled("streaming")

    def taken(self, job: Job[RowT], first: bool, gap: float) -> None:
        """A reader has taken a message."""
        if first:
            self._metrics.first_event(self._clock() - job.arrived, job.trace)
        else:
            self._metrics.gap(gap)

    def _check_open(self, now: float) -> None:
        """Raise ShuttingDown or ModelUnhealthy, or what the model is condemned for."""
        if self._stopping:
            raise ShuttingDown("the server is shutting down")
        self._condition.breaker.check(now)

    def _drive(self) -> None:
        try:
            self._go_on()
        except BaseException as error:  # a fault of ours: what fails in a run does not come here
            died = DriverDied("what runs the model has failed; the server is about to be started again")
            died.__cause__ = error
            self._in_loop(self._die, died)

    def _die(self, error: DriverDied) -> None:
        """Nobody steps the jobs any more: end them all, those too whose end was lost on its way to their readers."""
        self._condition.tell(error)
        self.give_up(error)
        self._publish([Report(job, closed=True, error=error) for job in self._outboxes])

    def _go_on(self) -> None:
        while (plan := self._next_plan()) is not None:
            self._tell(plan.expired)  # not after a run that is none of theirs
            if plan.batch:
                self._tell(self._run(plan.batch))

    def _next_plan(self) -> Plan[RowT, EventT] | None:
        """Wait until there is something to do: it, or None when the driver stops."""
        with self._changed:
            while not self._stopping:
                plan = self._scheduler.plan(self._clock())
                if plan.batch or plan.expired:
                    for job in plan.started:
                        self._witness.began(job)
                    self._count_jobs()
                    return plan
                self._changed.wait(self._patience())
        return None

    def _patience(self) -> float | None:
        event = self._scheduler.next_event
        return None if event is None else max(0.0, event - self._clock())

    def _run(self, batch: Sequence[Place[RowT]]) -> list[Report[RowT, EventT]]:
        began = self._clock()
        outcomes = attempt(self._model, [place.row for place in batch], self._begin)
        self.run = None
        ended = self._clock()
        error = failure_of(outcomes)
        self._witness.ran(batch, outcomes, ended - began, error)
        with self._changed:
            if was_run(outcomes):
                self._condition.judge(error, ended)
            reports = self._scheduler.complete(batch, outcomes, ended)
            self._count_jobs()
        return reports

    def _begin(self, rows: int) -> None:
        self._runs += 1
        self.run = Run(self._runs, rows)

    def _tell(self, reports: Sequence[Report[RowT, EventT]]) -> None:
        """Hand all of a run's news to the event loop in one wake-up."""
        if reports:
            self._in_loop(self._publish, reports)

    def _in_loop(self, do: Callable[[T], None], what: T) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(do, what)

    def _publish(self, reports: Sequence[Report[RowT, EventT]]) -> None:
        for report in reports:
            self._witness.told(report)
            outbox = self._outboxes.get(report.job)
            if outbox is not None:
                outbox.put(report)

    def _count_jobs(self) -> None:
        self._metrics.jobs_changed(self.jobs)
