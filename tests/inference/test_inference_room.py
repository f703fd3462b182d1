"""How much of a stream may be under way, and what a stream's requests count as: values and a fake clock."""

import asyncio

import pytest

from rhapsode_server.errors import ClientConcurrency, QuotaExceeded
from rhapsode_server.rpc.inference.room import Room
from rhapsode_server.rpc.quotas import Quotas, Share
from rhapsode_server.rpc.stream_share import StreamShare


async def waits(room: Room, size: int) -> bool:
    """Whether a request has to wait; one that has not has entered."""
    entering = asyncio.create_task(room.enter(size))
    for _ in range(3):
        await asyncio.sleep(0)
    if entering.done():
        return False
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    return True


async def test_requests_are_counted() -> None:
    room = Room(most=2, most_bytes=100)
    assert not await waits(room, 1)
    assert not await waits(room, 1)
    assert await waits(room, 1)
    room.leave(1)
    assert not await waits(room, 1)


async def test_bytes_are_counted_those_of_replies_too() -> None:
    room = Room(most=9, most_bytes=100)
    assert not await waits(room, 40)
    room.grow(50)
    assert await waits(room, 11)
    assert not await waits(room, 10)
    room.leave(90)
    assert not await waits(room, 90)


async def test_what_is_larger_than_the_room_goes_by_itself() -> None:
    room = Room(most=9, most_bytes=100)
    assert not await waits(room, 1000)
    assert await waits(room, 0 + 1)
    room.leave(1000)
    assert not await waits(room, 1)
    assert await waits(room, 1000)


async def test_who_waits_enters_when_there_is_room() -> None:
    room = Room(most=1)
    await room.enter(1)
    entering = asyncio.create_task(room.enter(1))
    await asyncio.sleep(0)
    room.leave(1)
    await asyncio.wait_for(entering, 60)


def opened(share: Share) -> tuple[Quotas, StreamShare]:
    """A stream that its client has opened, at time 0."""
    quotas = Quotas()
    quotas.begin("a", share, 0)
    return quotas, StreamShare("a", share, quotas, lambda: 0)


def test_a_stream_is_its_first_request_under_way() -> None:
    share = Share(concurrency=2)
    quotas, stream = opened(share)
    with stream.request(), stream.request():
        with pytest.raises(ClientConcurrency), stream.request():
            pass
        with pytest.raises(ClientConcurrency):
            quotas.begin("a", share, 0)
    quotas.begin("a", share, 0)  # beside the idle stream
    with stream.request(), pytest.raises(ClientConcurrency), stream.request():
        pass


def test_the_opening_pays_for_the_first_request() -> None:
    quotas, stream = opened(Share(rate=1, burst=3))
    for _ in range(3):
        with stream.request():
            pass
    with pytest.raises(QuotaExceeded), stream.request():
        pass
    assert repr(quotas) == "Quotas(1 clients, 1 open)"
    with pytest.raises(QuotaExceeded), stream.request():
        pass
