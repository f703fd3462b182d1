"""The outbox under every order of news and reading: nothing is lost, told twice, out of order or without bound."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rhapsode_server.engine.job import Job
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Delivery, Report
from rhapsode_server.errors import RunFailed, ShuttingDown

STEPS = settings(
    max_examples=80, derandomize=True, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
QUICKLY = settings(STEPS, phases=[Phase.generate], print_blob=False, max_examples=200)
ROWS = ("a", "b")
Box = Outbox[str, int]


class Parkable(Job[str]):
    """A job that is parked by saying so: there is no scheduler here."""

    parked = False


@dataclass
class Desk:
    """The driver's side, as the outbox sees it: says which jobs are parked, as the scheduler does."""

    crowd: int
    job: Parkable

    def park(self, job: Job[str]) -> None:
        assert job is self.job
        assert not self.job.parked
        self.job.parked = True

    def unpark(self, job: Job[str]) -> None:
        assert self.job.parked
        self.job.parked = False

    def leave(self, job: Job[str], told: bool) -> None:
        """Nobody reads any more."""

    def taken(self, job: Job[str], first: bool, gap: float) -> None:
        assert gap >= 0.0


class Machine(RuleBasedStateMachine):
    """A driver that tells, a reader that reads when it likes, and an account of both."""

    make: type[Box] = Outbox

    @initialize(flush=st.integers(1, 6), bound=st.integers(1, 8), crowd=st.integers(1, 8))
    def begin(self, flush: int, bound: int, crowd: int) -> None:
        self.runner = asyncio.Runner()
        self.now = 0.0
        self.bound = bound
        self.job = Parkable(ROWS, 0.0)
        self.desk = Desk(crowd, self.job)
        pace = Pace(flush_items=flush, flush_interval=1000.0, few_streams=4, bound=bound)
        self.runner.run(self._open(pace))
        self.numbers = 0
        self.owed: list[int] = []
        self.previews: dict[str, int] = {}
        self.waiting = 0
        self.ended: str | None = None
        self.told: str | None = None
        self.reading: asyncio.Task[Sequence[Delivery[str, int]]] | None = None

    async def _open(self, pace: Pace) -> None:
        self.box = self.make(self.job, self.desk, pace, lambda: self.now)

    @precondition(lambda self: self.ended is None and not self.job.parked)
    @rule(row=st.sampled_from(ROWS), events=st.integers(1, 3), fleeting=st.booleans())
    def tell(self, row: str, events: int, fleeting: bool) -> None:
        numbers = list(range(self.numbers, self.numbers + events))
        self.numbers += events
        made = 0 if fleeting else events
        if fleeting:
            self.previews[row] = numbers[-1]
            numbers = numbers[-1:]
        else:
            self.previews.pop(row, None)
            self.owed += numbers
        self._put(Report(self.job, [Delivery(row, numbers, False, made, fleeting)]))

    @precondition(lambda self: self.ended is None)
    @rule(how=st.sampled_from(["done", "failed"]))
    def end(self, how: str) -> None:
        self.ended = how
        self._put(Report(self.job, closed=True, error=RunFailed("broken") if how == "failed" else None))

    @precondition(lambda self: self.ended is not None and self.told is None)
    @rule()
    def tell_late(self) -> None:
        """News of a stop come after the end, and change nothing."""
        self._put(Report(self.job, closed=True, error=ShuttingDown("stopping")))

    @precondition(lambda self: self.told is None)
    @rule()
    def read(self) -> None:
        """Go on reading; what is not due yet is waited for, beside what else happens."""
        if self.reading is None:
            self.reading = self.runner.get_loop().create_task(self._next())
        self._turn()

    @rule(seconds=st.floats(0.0, 2000.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_bound_parks(self) -> None:
        if self.ended is None:
            assert not self.job.parked or self.waiting > self.bound
            assert self.waiting <= self.bound + 3

    def teardown(self) -> None:
        """A reader that reads on hears all that it is owed, then the end."""
        if not hasattr(self, "runner"):
            return
        try:
            if self.ended is None:
                self.end("done")
            for _ in range(4):
                if self.told is None:
                    self.read()
            assert self.told == self.ended
            assert not self.owed
            assert not self.previews
        finally:
            if self.reading is not None:
                self.reading.cancel()
                self._turn()
            self.runner.close()

    async def _next(self) -> Sequence[Delivery[str, int]]:
        return await anext(self.box)

    def _put(self, report: Report[str, int]) -> None:
        async def put() -> None:
            self.box.put(report)

        self.waiting += sum(delivery.made for delivery in report.deliveries)
        self.runner.run(put())
        self._turn()

    def _turn(self) -> None:
        """Let the reader have what it is due."""

        async def turn() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.runner.run(turn())
        if self.reading is not None and self.reading.done():
            reading, self.reading = self.reading, None
            if not reading.cancelled():
                self._hear(reading)

    def _hear(self, reading: "asyncio.Task[Sequence[Delivery[str, int]]]") -> None:
        error = reading.exception()
        if error is not None:
            assert not self.owed, "the end came before the rest"
            self.told = "done" if isinstance(error, StopAsyncIteration) else "failed"
            assert isinstance(error, StopAsyncIteration | RunFailed)
            return
        heard = [event for one in reading.result() if not one.fleeting for event in one.events]
        seen = {one.row: one.events[-1] for one in reading.result() if one.fleeting}
        assert heard == self.owed, "something was lost, told twice or out of order"
        assert seen == self.previews
        assert heard or seen
        self.owed, self.previews, self.waiting = [], {}, 0
        assert not self.job.parked


class LosesNews(Box):
    """What comes together loses its last."""

    def _hand_over(self) -> list[Delivery[str, int]]:
        return super()._hand_over()[:-1]


class UndoesTheEnd(Box):
    """The word of a stop takes the place of the end that was told before."""

    def put(self, report: Report[str, int]) -> None:
        super().put(report)
        if report.closed:
            self._error = report.error


class KnowsNoBound(Box):
    """A slow reader's job goes on."""

    def put(self, report: Report[str, int]) -> None:
        super().put(report)
        if self._job.parked:
            self._desk.unpark(self._job)


def test_the_outbox_keeps_its_word() -> None:
    run_state_machine_as_test(Machine, settings=STEPS)


@pytest.mark.parametrize("broken", [LosesNews, UndoesTheEnd, KnowsNoBound])
def test_an_outbox_that_breaks_it_is_found(broken: type[Box]) -> None:
    machine = type("Broken", (Machine,), {"make": broken})
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(machine, settings=QUICKLY)
