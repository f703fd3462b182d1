"""Previews in the outbox: a reader who is slow misses some, and nothing else changes for anybody."""

import asyncio
from dataclasses import dataclass, field

import pytest

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Delivery, Report

PATIENT = Pace(flush_items=4, flush_interval=1000.0, few_streams=0, bound=8)


@dataclass
class Desk:
    """What an outbox tells its driver."""

    crowd: int = 5
    parked: list[Job[str]] = field(default_factory=list)

    def park(self, job: Job[str]) -> None:
        job.stage = Stage.PARKED
        self.parked.append(job)

    def unpark(self, job: Job[str]) -> None:
        job.stage = Stage.ACTIVE
        self.parked.remove(job)

    def leave(self, job: Job[str], told: bool) -> None:
        pass

    def taken(self, job: Job[str], first: bool, gap: float) -> None:
        pass


def preview(row: str, step: int) -> Delivery[str, int]:
    return Delivery(row, [step], done=False, made=0, fleeting=True)


def finished(row: str) -> Delivery[str, int]:
    return Delivery(row, [100], done=True, made=1)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def outbox(desk: Desk) -> Outbox[str, int]:
    return Outbox(Job(["a", "b"], 0.0), desk, PATIENT, lambda: 0.0)


def put(outbox: Outbox[str, int], *deliveries: Delivery[str, int]) -> None:
    outbox.put(Report(outbox._job, deliveries))


async def test_a_slow_reader_gets_the_latest_preview_of_each_row(desk: Desk, outbox: Outbox[str, int]) -> None:
    for step in range(1, 1000):
        put(outbox, preview("a", step), preview("b", step))
    assert await anext(outbox) == [preview("a", 999), preview("b", 999)]
    assert not desk.parked


async def test_a_finished_picture_takes_the_place_of_its_preview(outbox: Outbox[str, int]) -> None:
    put(outbox, preview("a", 1), preview("b", 1))
    put(outbox, finished("a"))
    assert await anext(outbox) == [finished("a"), preview("b", 1)]


async def test_the_first_preview_is_handed_over_at_once_and_later_ones_when_it_is_time(desk: Desk) -> None:
    now = [0.0]
    pace = Pace(flush_items=4, flush_interval=0.001, few_streams=0)
    outbox: Outbox[str, int] = Outbox(Job(["a", "b"], 0.0), desk, pace, lambda: now[0])
    put(outbox, preview("a", 1))
    assert await anext(outbox) == [preview("a", 1)]
    reader = asyncio.ensure_future(anext(outbox))
    await asyncio.sleep(0)
    put(outbox, preview("a", 2))
    assert not reader.done()
    now[0] = 1.0
    put(outbox, preview("a", 3))
    assert await reader == [preview("a", 3)]


async def test_with_few_streams_every_preview_calls_the_reader(desk: Desk, outbox: Outbox[str, int]) -> None:
    desk.crowd = 0
    put(outbox, preview("a", 1))
    assert await anext(outbox) == [preview("a", 1)]
    put(outbox, preview("a", 2))
    assert await anext(outbox) == [preview("a", 2)]


async def test_what_is_not_fleeting_is_all_kept(desk: Desk, outbox: Outbox[str, int]) -> None:
    lasting = Delivery("a", [1], done=False, made=1)
    put(outbox, *[lasting] * 9)
    assert len(desk.parked) == 1
    assert await anext(outbox) == [lasting] * 9
    assert not desk.parked
