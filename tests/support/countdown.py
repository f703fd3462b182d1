"""A driver of a model that counts down, to be held and to be made to fail."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import Outcome, Wanted
from rhapsode_server.observe.metrics import Metrics

Row = list[int]  # [steps left]
EAGER = Pace(flush_items=1)


class Countdown:
    """A model whose rows want as many steps as they say and tell what is left; may be held, or made to fail."""

    max_batch = 4

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.running = threading.Event()
        self.batches: list[int] = []
        self.fault: Exception | None = None

    def wants(self, row: Row) -> Wanted:
        return Wanted(row[0], row[0])

    def advance(self, rows: Sequence[Row]) -> Sequence[Outcome[int]]:
        self.running.set()
        self.go.wait()
        self.batches.append(len(rows))
        if self.fault is not None:
            raise self.fault
        for row in rows:
            row[0] -= 1
        return [
            Outcome([row[0]], done=row[0] <= 0, error=NonFiniteOutput("NaN") if row[0] < 0 else None, made=1)
            for row in rows
        ]


class Bench:
    """A driver of a Countdown, and its metrics."""

    def __init__(self, limits: Limits) -> None:
        self.registry = CollectorRegistry()
        self.model = Countdown()
        lane = Metrics(self.registry).lane("countdown", 1, "step", limits.slots)
        self.driver: Driver[Row, int] = Driver("countdown", self.model, limits, lane)

    def metric(self, name: str, **labels: str) -> float:
        lane = {"model": "countdown", "version": "1", "role": "step"} | labels
        return self.registry.get_sample_value(name, lane) or 0.0

    def submit(self, *steps: int, deadline: float | None = None, pace: Pace = EAGER) -> Outbox[Row, int]:
        return self.driver.submit([[count] for count in steps], deadline, pace)


@asynccontextmanager
async def bench(slots: int = 8, queue: int = 8) -> AsyncIterator[Bench]:
    made = Bench(Limits(slots, queue))
    made.driver.start()
    try:
        yield made
    finally:
        made.model.go.set()
        await made.driver.stop()


async def read(outbox: Outbox[Row, int]) -> list[int]:
    async with outbox:
        return [event async for deliveries in outbox for delivery in deliveries for event in delivery.events]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)
