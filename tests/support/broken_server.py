"""A server that breaks promises: run as `broken_server.py BREAK,… FLAGS…`, for detectors that must notice it.

The product has no switch for this: what breaks it is put over its classes here, from outside.
"""

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rhapsode_server import main
from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.outbox import Outbox
from rhapsode_server.engine.scheduler import Delivery, Report, Scheduler
from rhapsode_server.models.base import Outcome
from rhapsode_server.rpc.leases import Holders

_KEPT: list[bytearray] = []
KEPT = 2**20  # bytes that a job leaves behind


def leak_a_slot() -> None:
    """A job that is cancelled is closed and keeps its slot."""

    def cancel(self: Scheduler[Any, Any], job: Job[Any], now: float) -> str | None:
        if job.stage is Stage.CLOSED:
            return None
        job.stage, job.ended = Stage.CLOSED, now
        return "running"

    Scheduler.cancel = cancel  # type: ignore[method-assign,assignment]


def swallow_a_cancel() -> None:
    """A job goes on to its end when its reader has gone."""

    def leave(self: Driver[Any, Any], job: Job[Any], told: bool) -> None:
        self._outboxes.pop(job, None)

    Driver.leave = leave  # type: ignore[method-assign]


def expire_early() -> None:
    """A deadline passes three seconds before its time."""

    def plan(self: Scheduler[Any, Any], now: float) -> Any:
        reports = list(self._expire(now + 3.0))
        planned = right(self, now)
        return replace(planned, expired=[*reports, *planned.expired])

    right, Scheduler.plan = Scheduler.plan, plan  # type: ignore[method-assign]


def skip_the_deadline() -> None:
    """No job has a deadline, wherever it stands: what comes late, or waits for too long, is done all the same."""

    def add(self: Scheduler[Any, Any], job: Job[Any], now: float) -> None:
        job.deadline = None
        right(self, job, now)

    right, Scheduler.add = Scheduler.add, add  # type: ignore[method-assign]


def drop_a_token() -> None:
    """Every seventh delivery that does not end its row is lost."""
    numbers = itertools.count(1)

    def put(self: Outbox[Any, Any], report: Report[Any, Any]) -> None:
        kept: Sequence[Delivery[Any, Any]] = [one for one in report.deliveries if one.done or next(numbers) % 7]
        right(self, report._replace(deliveries=kept))

    right, Outbox.put = Outbox.put, put  # type: ignore[method-assign]


def mix_rows() -> None:
    """Rows that share a batch get each other's outcomes."""

    def complete(self: Scheduler[Any, Any], batch: Any, outcomes: Sequence[Outcome[Any]], now: float) -> Any:
        return right(self, batch, _exchanged(outcomes), now)

    right, Scheduler.complete = Scheduler.complete, complete  # type: ignore[method-assign]


def _exchanged(outcomes: Sequence[Outcome[Any]]) -> Sequence[Outcome[Any]]:
    going = [number for number, outcome in enumerate(outcomes) if not outcome.done and outcome.error is None]
    order = dict(zip(going, reversed(going), strict=True))
    return [outcomes[order.get(number, number)] for number in range(len(outcomes))]


def keep_memory() -> None:
    """A job that ends leaves a MiB behind."""

    def retire(self: Scheduler[Any, Any], job: Job[Any], now: float) -> None:
        if job.stage is not Stage.CLOSED:
            _KEPT.append(bytearray(b"x") * KEPT)
        right(self, job, now)

    right, Scheduler._retire = Scheduler._retire, retire  # type: ignore[method-assign]


def switch_at_once() -> None:
    """A model that is replaced is stopped though rpcs still hold it."""

    async def none(self: Holders) -> None:
        """Wait for nobody."""

    Holders.none = none  # type: ignore[method-assign]


def nothing() -> None:
    """All promises are held."""


BREAKS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        one.__name__: one
        for one in (
            leak_a_slot,
            swallow_a_cancel,
            expire_early,
            skip_the_deadline,
            drop_a_token,
            mix_rows,
            keep_memory,
            switch_at_once,
            nothing,
        )
    }
)

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        BREAKS[name]()
    main.main()
