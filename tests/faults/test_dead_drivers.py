"""A driver whose thread ends by a fault of ours: every reader is told, and so is whoever decides what becomes of it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import DriverDied, RhapsodeError
from rhapsode_server.models.base import OneRun, Outcome
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.rpc.lazy_rows import LazyRows

ROWS = 200
PATIENCE = 60.0


class Plain(OneRun):
    """A model that may be held, and made to forget a row."""

    max_batch = 4

    def __init__(self) -> None:
        self.go = threading.Event()
        self.forgets = False

    def advance(self, rows: Sequence[int]) -> Sequence[Outcome[int]]:
        self.go.wait(PATIENCE)
        return [Outcome([row], done=True, made=1) for row in rows[self.forgets :]]


class Bench:
    """A driver, and what its mood was."""

    def __init__(self) -> None:
        self.model = Plain()
        self.moods: list[RhapsodeError | None] = []
        lane = Metrics(CollectorRegistry()).lane("plain", 1, "decode", 1)
        self.driver: Driver[int, int] = Driver("plain", self.model, Limits(slots=1), lane, mood=self.moods.append)

    async def use(self, rows: Sequence[int]) -> int:
        made = 0
        async with self.driver.submit(rows, None, Pace()) as outbox:
            async for news in outbox:
                made += sum(len(delivery.events) for delivery in news)
        return made

    async def end_all(self, *asked: Sequence[int]) -> list[Any]:
        """Ask while it is held, and let it go: what each heard."""
        tasks = [asyncio.create_task(self.use(rows)) for rows in asked]
        await asyncio.sleep(0)
        self.model.go.set()
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.driver.start()
    yield made
    made.model.go.set()
    await made.driver.stop()


def spoilt(place: int) -> int:
    """A row, but for one far behind those that are looked at when the request comes."""
    if place == ROWS - 1:
        raise ZeroDivisionError("a row that cannot be made")
    return place


async def test_a_row_that_cannot_be_made_leaves_nobody_waiting(bench: Bench) -> None:
    heard = await bench.end_all(LazyRows(ROWS, spoilt), [1])  # the one slot, and the queue
    assert [type(error) for error in heard] == [DriverDied, DriverDied]
    assert [type(mood) for mood in bench.moods] == [DriverDied]
    assert isinstance(bench.moods[0] and bench.moods[0].__cause__, ZeroDivisionError)


async def test_a_model_that_forgets_a_row_leaves_nobody_waiting(bench: Bench) -> None:
    bench.model.forgets = True
    assert [type(error) for error in await bench.end_all([1, 2], [3])] == [DriverDied, DriverDied]
    assert [type(mood) for mood in bench.moods] == [DriverDied]


async def test_what_comes_later_is_refused_at_once(bench: Bench) -> None:
    await bench.end_all(LazyRows(ROWS, spoilt))
    with pytest.raises(DriverDied) as caught:
        await bench.use([1])
    assert caught.value.reason == "MODEL_UNHEALTHY"
    jobs = bench.driver.jobs
    assert (jobs.queued, jobs.active, jobs.parked, bench.driver.crowd) == (0, 0, 0, 0)
