"""The thread that drives a model: plan, run, complete, and tell the event loop in one wake-up."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.load import Load
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Limits, Place, Plan, Report, Scheduler
from rhapsode_server.errors import DeadlineExpired, NonFiniteOutput, RhapsodeError, RunFailed, ShuttingDown
from rhapsode_server.models.base import Model, Outcome
from rhapsode_server.observe.lanes import LaneMetrics
from rhapsode_server.observe.trace_context import CURRENT, TraceContext
from rhapsode_server.observe.traces import LaneSpans

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")


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
    ) -> None:
        self._model = model
        self._metrics = metrics
        self._clock = clock
        self._spans = spans
        self._scheduler: Scheduler[RowT, EventT] = Scheduler(model.max_batch, limits)
        self._outboxes: dict[Job[RowT], Outbox[RowT, EventT]] = {}
        self._changed = threading.Condition()  # guards the scheduler
        self._stopping = False
        self._thread = threading.Thread(target=self._drive, name=f"drive-{name}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin; called in the event loop that will read the outboxes."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """End every job with ShuttingDown, and the thread after the run under way."""
        with self._changed:
            self._stopping = True
            reports = self._scheduler.clear(ShuttingDown("the server is shutting down"), self._clock())
            self._changed.notify()
        self._publish(reports)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def submit(self, rows: Sequence[RowT], deadline: float | None, pace: Pace) -> Outbox[RowT, EventT]:
        """Accept work: its outbox, to be entered as a context. `deadline` is a time of the clock.

        Raises ShuttingDown, QueueFull or DeadlineExpired, with nothing kept.
        """
        now = self._clock()
        job = Job(rows, now, deadline, CURRENT.get())
        try:
            with self._changed:
                if self._stopping:
                    raise ShuttingDown("the server is shutting down")
                self._scheduler.add(job, now)
                self._count_jobs()
                self._changed.notify()
        except RhapsodeError as error:
            self._metrics.rejected(error.reason)
            raise
        outbox: Outbox[RowT, EventT] = Outbox(job, self, pace, self._clock)
        self._outboxes[job] = outbox
        return outbox

    @property
    def crowd(self) -> int:
        """Jobs that are open now."""
        return len(self._outboxes)

    @property
    def load(self) -> Load:
        """What its jobs are at now; in the event loop."""
        parked = sum(job.parked and job.stage is Stage.ACTIVE for job in self._outboxes)
        with self._changed:
            return Load(self._scheduler.active, self._scheduler.queued, parked)

    def park(self, job: Job[RowT]) -> None:
        """The job's reader is slow: keep its rows, spend nothing on them."""
        self._metrics.stalled()
        with self._changed:
            self._scheduler.park(job)

    def unpark(self, job: Job[RowT]) -> None:
        """The job's reader has caught up."""
        with self._changed:
            self._scheduler.unpark(job)
            self._changed.notify()

    def leave(self, job: Job[RowT], told: bool) -> None:
        """The job's reader has gone: drop what is unfinished, and what it has not taken."""
        self._outboxes.pop(job, None)
        with self._changed:
            stage = self._scheduler.cancel(job, self._clock())
            if stage is not None:
                self._metrics.cancelled(stage)
                if stage == "queued":
                    self._tell_queued(job)
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

    def _drive(self) -> None:
        while (plan := self._next_plan()) is not None:
            reports = [*plan.expired]
            if plan.batch:
                reports += self._run(plan.batch)
            self._tell(reports)

    def _next_plan(self) -> Plan[RowT, EventT] | None:
        """Wait until there is something to do: it, or None when the driver stops."""
        with self._changed:
            while not self._stopping:
                plan = self._scheduler.plan(self._clock())
                if plan.batch or plan.expired:
                    for job in plan.started:
                        self._metrics.waited((job.started or job.arrived) - job.arrived, job.trace)
                        self._tell_queued(job)
                    self._count_jobs()
                    return plan
                self._changed.wait(self._patience())
        return None

    def _patience(self) -> float | None:
        event = self._scheduler.next_event
        return None if event is None else max(0.0, event - self._clock())

    def _run(self, batch: Sequence[Place[RowT]]) -> list[Report[RowT, EventT]]:
        began = self._clock()
        error: RhapsodeError | None = None
        outcomes: Sequence[Outcome[EventT]] = ()
        try:
            outcomes = self._model.advance([place.row for place in batch])
        except RhapsodeError as failure:
            error = failure
        except Exception as failure:  # a fault in one run must not end the thread that serves all
            error = RunFailed(f"the run failed: {type(failure).__name__}")
            error.__cause__ = failure
        ended = self._clock()
        self._metrics.ran(len(batch), ended - began, _sampled(batch))
        if self._spans is not None:
            steps = max((outcome.made for outcome in outcomes), default=0)
            reason = error.reason if error else None
            self._spans.ran((place.job.trace for place in batch), ended - began, len(batch), max(1, steps), reason)
        with self._changed:
            if error is not None:
                reports = self._scheduler.fail(batch, error, ended)
            else:
                self._metrics.items(sum(outcome.made for outcome in outcomes))
                reports = self._scheduler.complete(batch, outcomes, ended)
            self._count_jobs()
        return reports

    def _tell(self, reports: Sequence[Report[RowT, EventT]]) -> None:
        """Hand all of a run's news to the event loop in one wake-up."""
        if reports and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, reports)

    def _publish(self, reports: Sequence[Report[RowT, EventT]]) -> None:
        for report in reports:
            if report.closed and report.job.started is None:
                self._tell_queued(report.job)
            if isinstance(report.error, NonFiniteOutput):
                self._metrics.nonfinite()
            if isinstance(report.error, DeadlineExpired) and report.job.started is None:
                self._metrics.expired()
            outbox = self._outboxes.get(report.job)
            if outbox is not None:
                outbox.put(report)

    def _tell_queued(self, job: Job[RowT]) -> None:
        """The job's wait for its first run is over, by the run or by its end."""
        if self._spans is not None:
            self._spans.queued(job.trace, (job.started or job.ended or self._clock()) - job.arrived)

    def _count_jobs(self) -> None:
        self._metrics.queue_changed(self._scheduler.queued, self._scheduler.active)


def _sampled(batch: Sequence[Place[RowT]]) -> TraceContext | None:
    """The trace of the first in a batch that has one which somebody keeps."""
    return next((place.job.trace for place in batch if place.job.trace and place.job.trace.sampled), None)
