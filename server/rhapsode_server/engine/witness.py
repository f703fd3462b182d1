"""What is told of a graph's jobs and runs to those who look on: metrics, traces, a tally."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rhapsode_server.engine.job import Job
from rhapsode_server.engine.plan import Place, Report
from rhapsode_server.engine.tally import Ledger, Tally
from rhapsode_server.errors import DeadlineExpired, NonFiniteOutput, RhapsodeError
from rhapsode_server.models.base import Outcome
from rhapsode_server.observe.lanes import LaneMetrics
from rhapsode_server.observe.trace_context import TraceContext
from rhapsode_server.observe.traces import LaneSpans


class Witness:
    """Of one driver; safe from any thread. Times of jobs are of `clock`."""

    def __init__(self, metrics: LaneMetrics, spans: LaneSpans | None, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._spans = spans
        self._clock = clock
        self._ledger = Ledger()

    @property
    def tally(self) -> Tally:
        """What there was so far."""
        return self._ledger.read()

    def began(self, job: Job[Any]) -> None:
        """A job is about to have its first run."""
        self._metrics.waited((job.started or job.arrived) - job.arrived, job.trace)
        self.queued(job)

    def queued(self, job: Job[Any]) -> None:
        """A job's wait for its first run is over, by the run or by its end."""
        if self._spans is not None:
            self._spans.queued(job.trace, (job.started or job.ended or self._clock()) - job.arrived)

    def ran(
        self,
        batch: Sequence[Place[Any]],
        outcomes: Sequence[Outcome[Any]],
        seconds: float,
        error: RhapsodeError | None,
    ) -> None:
        """A run has ended, with the error where none of its rows got on."""
        self._metrics.ran(len(batch), seconds, _sampled(batch))
        self._ledger.ran(outcomes, seconds, time.time())
        if any(outcome.apart for outcome in outcomes):
            self._metrics.taken_apart()
        tensors = sum(outcome.made for outcome in outcomes if outcome.raw)
        self._metrics.items(sum(outcome.made for outcome in outcomes) - tensors, tensors)
        if self._spans is not None:
            steps = max((outcome.made for outcome in outcomes), default=0)
            reason = error.reason if error else None
            self._spans.ran((place.job.trace for place in batch), seconds, len(batch), max(1, steps), reason)

    def told(self, report: Report[Any, Any]) -> None:
        """A job's reader is about to hear this."""
        job, error = report.job, report.error
        if report.closed and job.started is None:
            self.queued(job)
        if isinstance(error, NonFiniteOutput):
            self._metrics.nonfinite()
        if isinstance(error, DeadlineExpired) and job.started is None:
            self._metrics.expired()


def _sampled(batch: Sequence[Place[Any]]) -> TraceContext | None:
    """The trace of the first in a batch that has one which somebody keeps."""
    return next((place.job.trace for place in batch if place.job.trace and place.job.trace.sampled), None)
