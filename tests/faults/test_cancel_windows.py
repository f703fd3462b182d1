"""A reader may leave in any window of a job's life: its slot is free at once, and nobody else notices."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import DeadlineExpired
from rhapsode_server.models.base import Outcome
from rhapsode_server.observe.metrics import Metrics

PATIENCE = 30.0
Row = list[int]  # [steps left]


class Gated:
    """A model whose runs begin and end when the test says so; rows tell how many steps are left."""

    max_batch = 8

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.ran: list[list[Row]] = []

    def advance(self, rows: Sequence[Row]) -> Sequence[Outcome[int]]:
        self.begun.release()
        assert self.go.acquire(timeout=PATIENCE)
        self.ran.append(list(rows))
        for row in rows:
            row[0] -= 1
        return [Outcome([row[0]], done=row[0] <= 0, made=1) for row in rows]

    def run_begins(self) -> None:
        """Wait until a run has begun."""
        assert self.begun.acquire(timeout=PATIENCE)

    def run_ends(self) -> None:
        """Let the run under way end."""
        self.go.release()


class Stand:
    """A driver of a gated model with two slots."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.model = Gated()
        lane = Metrics(self.registry).lane("gated", 1, "step", 2)
        self.driver: Driver[Row, int] = Driver("gated@1/step", self.model, Limits(slots=2, queue=4, turn=1), lane)

    def submit(self, steps: int, deadline: float | None = None) -> Outbox[Row, int]:
        return self.driver.submit([[steps]], deadline, Pace(flush_items=1))

    def metric(self, name: str, **labels: str) -> float:
        lane = {"model": "gated", "version": "1", "role": "step"} | labels
        return self.registry.get_sample_value(name, lane) or 0.0

    def held(self) -> tuple[float, float, int]:
        """Slots, jobs that wait, jobs that are known."""
        return self.metric("rhapsode_active_slots"), self.metric("rhapsode_queue_depth"), self.driver.crowd

    def cancelled(self, stage: str) -> float:
        return self.metric("rhapsode_requests_cancelled_total", stage=stage)


@pytest.fixture
async def stand() -> AsyncIterator[Stand]:
    made = Stand()
    made.driver.start()
    yield made
    for _ in range(1000):
        made.model.run_ends()
    await made.driver.stop()


async def leave(outbox: Outbox[Row, int]) -> None:
    async with outbox:
        pass


async def read(outbox: Outbox[Row, int]) -> list[int]:
    async with outbox:
        return [event async for news in outbox for delivery in news for event in delivery.events]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


async def the_neighbour_gets_all(stand: Stand, neighbour: Outbox[Row, int], steps: int) -> None:
    for _ in range(steps + 2):
        stand.model.run_ends()
    assert await read(neighbour) == list(reversed(range(steps)))
    assert stand.held() == (0, 0, 0)


async def test_while_it_waits_for_a_slot(stand: Stand) -> None:
    neighbour, other = stand.submit(3), stand.submit(1)
    stand.model.run_begins()
    waiting = stand.submit(5)
    assert stand.held() == (2, 1, 3)
    await leave(waiting)
    assert stand.held() == (2, 0, 2)
    assert stand.cancelled("queued") == 1
    stand.model.run_ends()
    assert await read(other) == [0]
    await the_neighbour_gets_all(stand, neighbour, 3)
    assert all([5] not in rows for rows in stand.model.ran)


async def test_while_its_run_is_under_way(stand: Stand) -> None:
    stays, leaves = stand.submit(3), stand.submit(1000)
    stand.model.run_begins()
    stand.model.run_ends()
    stand.model.run_begins()  # of both, now that both have come
    await leave(leaves)
    assert stand.held() == (1, 0, 1)  # at once: the run still goes on
    assert stand.cancelled("running") == 1
    stand.model.run_ends()
    stand.model.run_begins()
    assert len(stand.model.ran[-1]) <= 2
    runs = len(stand.model.ran)
    await the_neighbour_gets_all(stand, stays, 3)
    assert all(len(rows) == 1 for rows in stand.model.ran[runs:])  # not one more run was spent on it


async def test_while_its_batch_is_being_told(stand: Stand) -> None:
    stays, leaves = stand.submit(2), stand.submit(2)
    stand.model.run_begins()
    stand.model.run_ends()
    stand.model.run_begins()  # the news of the first run wait for this very event loop
    await leave(leaves)
    assert stand.held() == (1, 0, 1)
    await the_neighbour_gets_all(stand, stays, 2)


async def test_when_all_is_done_and_nothing_was_read(stand: Stand) -> None:
    leaves = stand.submit(1)
    stand.model.run_begins()
    stand.model.run_ends()
    await until(lambda: stand.held() == (0, 0, 1))
    await asyncio.sleep(0)
    await leave(leaves)
    assert stand.held() == (0, 0, 0)
    assert stand.cancelled("streaming") == 1


async def test_a_deadline_that_passes_in_a_run_takes_the_row_out_of_the_next(stand: Stand) -> None:
    now = stand.driver._clock()
    stays, late = stand.submit(4), stand.submit(1000, deadline=now + 0.2)
    stand.model.run_begins()
    await until(lambda: stand.driver._clock() > now + 0.2)
    stand.model.run_ends()
    with pytest.raises(DeadlineExpired):
        await read(late)
    runs = len(stand.model.ran)
    await the_neighbour_gets_all(stand, stays, 4)
    assert all(len(rows) == 1 for rows in stand.model.ran[runs:])
