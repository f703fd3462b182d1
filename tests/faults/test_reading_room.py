"""What takes long to read may wait, but not without end: beyond that a request is told at once to come again."""

import asyncio
import threading
import weakref
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.errors import QueueFull
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.rpc.reading import READERS, Reading
from rhapsode_server.rpc.room import LEAST_BYTES, MOST_BYTES, Room
from rhapsode_server.rpc.status import status_of

LONG = 1 << 20


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Set, it lets readers go on."""
    event = threading.Event()
    yield event
    event.set()


def refused(registry: CollectorRegistry) -> float | None:
    labels = {"model": "tiny-text", "reason": "queue_full"}
    return registry.get_sample_value("rhapsode_requests_rejected_total", labels)


async def test_long_texts_beyond_what_may_wait_are_refused_at_once(
    registry: CollectorRegistry, go: threading.Event
) -> None:
    reading = Reading(Metrics(registry), most=8 * LONG)

    async def read() -> bool:
        return await reading.read(LONG, "tiny-text", lambda: go.wait(30))

    waiting = [asyncio.create_task(read()) for _ in range(8)]
    await asyncio.sleep(0)
    assert len(waiting) > READERS
    for _ in range(3):
        with pytest.raises(QueueFull) as caught:
            await read()
    assert refused(registry) == 3
    assert dict(status_of(caught.value)[1])["grpc-retry-pushback-ms"] == "300"
    assert await reading.read(10, "tiny-text", lambda: True)  # a short one needs no place
    waiting[-1].cancel()
    await asyncio.wait([waiting[-1]])
    waiting[-1] = asyncio.create_task(read())  # who leaves before it is read gives the place back
    await asyncio.sleep(0)
    go.set()
    assert all(await asyncio.gather(*waiting))
    assert await read()


class Text:
    """What a request keeps in memory, and what is done with it."""

    def __init__(self, go: threading.Event) -> None:
        self.begun = threading.Event()
        self._go = go

    def read(self) -> bool:
        self.begun.set()
        return self._go.wait(30)


async def test_a_text_whose_client_leaves_before_it_is_read_is_forgotten(
    registry: CollectorRegistry, go: threading.Event
) -> None:
    reading = Reading(Metrics(registry), most=8 * LONG)
    held = [asyncio.create_task(reading.read(LONG, "tiny-text", lambda: go.wait(30))) for _ in range(READERS)]
    await asyncio.sleep(0)
    text = Text(go)
    forgotten = weakref.ref(text)
    waiting = asyncio.create_task(reading.read(LONG, "tiny-text", text.read))
    del text
    await asyncio.sleep(0)
    assert forgotten() is not None
    waiting.cancel()
    await asyncio.wait([waiting])
    del waiting
    assert forgotten() is None
    go.set()
    assert all(await asyncio.gather(*held))


async def test_a_text_that_is_being_read_keeps_its_place_though_its_client_leaves(
    registry: CollectorRegistry, go: threading.Event
) -> None:
    reading, text = Reading(Metrics(registry), most=LONG), Text(go)
    left = asyncio.create_task(reading.read(LONG, "tiny-text", text.read))
    await asyncio.to_thread(text.begun.wait, 30)
    left.cancel()
    for _ in range(9):
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await reading.read(LONG, "tiny-text", text.read)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert await reading.read(LONG, "tiny-text", text.read)


async def test_who_leaves_twice_waits_no_longer(registry: CollectorRegistry, go: threading.Event) -> None:
    text = Text(go)
    left = asyncio.create_task(Reading(Metrics(registry)).read(LONG, "tiny-text", text.read))
    await asyncio.to_thread(text.begun.wait, 30)
    for _ in range(2):
        left.cancel()
        await asyncio.wait([left], timeout=0)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(left, 30)


def test_a_place_is_as_large_as_what_waits_there(registry: CollectorRegistry) -> None:
    room = Room(Metrics(registry), 10 * LEAST_BYTES)
    nine, one, another = (room.place("tiny-text", size) for size in (9 * LEAST_BYTES, 1, 1))
    with nine, one, pytest.raises(QueueFull), another:
        pass
    with pytest.raises(ZeroDivisionError), room.place("tiny-text", 1):
        raise ZeroDivisionError
    with room.place("tiny-text", 99 * LEAST_BYTES):  # alone, the largest message finds a place
        pass


def test_a_crowd_of_small_pictures_finds_places() -> None:
    assert MOST_BYTES // LEAST_BYTES >= 2 * 1024  # as many as may hold slots or wait for one, by default
