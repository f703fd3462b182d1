"""Schedulers that each break a promise, for tests that have to notice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.scheduler import Place, Plan, Report, Scheduler
from rhapsode_server.models.base import Outcome, Wanted


class Row:
    """A row that wants so many steps; before it ends it might want more, where `more` is not 0."""

    def __init__(self, steps: int, more: int) -> None:
        self.left = steps
        self.more = more

    @property
    def wanted(self) -> Wanted:
        """What it says of itself."""
        return Wanted(1 if self.more else self.left, self.left + self.more)


Jobs = Scheduler[Row, str]


class LeaksSlots(Jobs):
    """A job that is cancelled is closed and keeps its slot."""

    def cancel(self, job: Job[Row], now: float) -> Literal["queued", "running"] | None:
        if job.stage is Stage.CLOSED:
            return None
        job.stage, job.ended = Stage.CLOSED, now
        return "queued" if job.started is None else "running"


class KnowsNoDeadlines(Jobs):
    """Rows run whether or not anybody waits for them."""

    def _expire(self, now: float) -> Iterator[Report[Row, str]]:
        return iter(())


class RunsTwice(Jobs):
    """A row has two places in a batch."""

    def plan(self, now: float) -> Plan[Row, str]:
        plan = super().plan(now)
        return replace(plan, batch=[*plan.batch[: self._max_batch - 1], *plan.batch[:1]])


class ForgetsJobs(Jobs):
    """A job that was parked never runs again."""

    def unpark(self, job: Job[Row]) -> None:
        """Do nothing."""


class TellsTwice(Jobs):
    """The end of a job is told again."""

    def complete(
        self, batch: Sequence[Place[Row]], outcomes: Sequence[Outcome[str]], now: float
    ) -> list[Report[Row, str]]:
        reports = super().complete(batch, outcomes, now)
        return [*reports, *(report for report in reports if report.closed)]


class CountsTwice(Jobs):
    """What a run did is taken off the work twice."""

    def complete(
        self, batch: Sequence[Place[Row]], outcomes: Sequence[Outcome[str]], now: float
    ) -> list[Report[Row, str]]:
        for place in batch:
            place.job.work.took(rows=0, left=1, steps=1)
        return super().complete(batch, outcomes, now)
