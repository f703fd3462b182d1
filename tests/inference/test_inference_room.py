"""How much of a stream may be under way, and what a stream's requests count as: values and a fake clock."""

import asyncio
import time

import pytest

from rhapsode_server.errors import ClientConcurrency, DeadlineExpired, QuotaExceeded
from rhapsode_server.rpc.inference.room import Room, Rooms
from rhapsode_server.rpc.inference.turnstile import Turnstile
from rhapsode_server.rpc.quotas import Quotas, Share
from rhapsode_server.rpc.stream_share import StreamShare


async def waits(room: Room, size: int) -> bool:
    """Whether a request has to wait; one that has not has entered."""
    entering = asyncio.create_task(room.enter(size))
    await some_turns()
    if entering.done():
        return False
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    return True


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_are_counted_together_on_a_connection() -> None:
    rooms = Rooms(most=2)
    one, two, other = rooms.open("a"), rooms.open("a"), rooms.open("b")
    assert not await waits(one, 1)
    assert not await waits(one, 1)
    assert await waits(one, 1)
    assert not await waits(two, 1), "a stream always has room for one"
    assert await waits(two, 1)
    assert not await waits(other, 1)
    assert not await waits(other, 1), "another connection has room of its own"
    for _ in range(2):
        one.leave(1)
    assert not await waits(two, 1)


async def test_bytes_are_counted_those_of_replies_too() -> None:
    rooms = Rooms(most=9, most_bytes=100)
    room, beside = rooms.open("a"), rooms.open("a")
    assert not await waits(room, 40)
    room.grow(50)
    assert await waits(room, 11)
    assert not await waits(room, 10)
    assert not await waits(beside, 1000), "its only one goes, however large"
    assert await waits(beside, 1)
    room.leave(90)
    beside.leave(1000)
    assert not await waits(room, 90)


async def test_the_bytes_of_all_connections_are_counted() -> None:
    rooms = Rooms(most=9, most_bytes=100, most_of_all=150)
    one, two = rooms.open("a"), rooms.open("b")
    assert not await waits(one, 50)
    assert not await waits(one, 50)
    assert not await waits(two, 50)
    assert await waits(two, 1)
    two.leave(50)
    assert not await waits(two, 1), "which has nothing under way, and waits for nobody"
    one.close()
    assert not await waits(two, 90)


async def test_who_waits_enters_when_there_is_room_in_order() -> None:
    rooms = Rooms(most=2)
    opened_rooms = [rooms.open("a") for _ in range(3)]
    for room in opened_rooms:
        await room.enter(1)
    entered: list[int] = []

    async def enter(number: int) -> None:
        await opened_rooms[number].enter(1)
        entered.append(number)

    entering = [asyncio.create_task(enter(number)) for number in range(3)]
    await some_turns()
    assert not entered
    opened_rooms[2].leave(1)
    await some_turns()
    assert entered == [2], "it had nothing under way"
    entering[0].cancel()
    opened_rooms[0].leave(1)
    opened_rooms[2].leave(1)
    await some_turns()
    assert entered == [2, 1], "who has left holds nobody up"


async def test_a_stream_that_ends_leaves_nothing_behind() -> None:
    rooms = Rooms(most=2)
    one, two = rooms.open("a"), rooms.open("a")
    for _ in range(2):
        await one.enter(10)
    await two.enter(10)
    entering = asyncio.create_task(two.enter(10))
    await some_turns()
    one.close()
    await asyncio.wait_for(entering, 60)
    assert (rooms.bytes, len(rooms)) == (20, 1)
    two.close()
    assert (rooms.bytes, len(rooms)) == (0, 0)


async def take(turnstile: Turnstile, name: str, order: list[str], go: asyncio.Event) -> None:
    async with turnstile.place(name, time.monotonic() + 600):
        order.append(name)
        await go.wait()


async def test_connections_take_turns_into_a_lane() -> None:
    turnstile, order, go = Turnstile(1), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(take(turnstile, name, order, go)) for name in "aaaab"]
    await some_turns()
    assert order == ["a"]
    left = tasks.pop(1)
    left.cancel()
    go.set()
    await asyncio.gather(left, *tasks, return_exceptions=True)
    assert order == ["a", "a", "b", "a"], "after one more of the first, the other"
    assert repr(turnstile) == "Turnstile(1 free, 0 waiting)"


async def test_who_waits_for_a_lane_waits_until_its_deadline() -> None:
    turnstile, go = Turnstile(1), asyncio.Event()
    holding = asyncio.create_task(take(turnstile, "a", [], go))
    await some_turns()
    with pytest.raises(DeadlineExpired):
        async with turnstile.place("b", time.monotonic()):
            pass
    go.set()
    await holding
    assert repr(turnstile) == "Turnstile(1 free, 0 waiting)"


def opened(share: Share) -> tuple[Quotas, StreamShare]:
    """A stream that its client has opened, at time 0."""
    quotas = Quotas()
    quotas.begin("a", share, 0)
    return quotas, StreamShare("a", lambda: share, quotas, lambda: 0, counted=True)


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


def test_a_share_that_changes_holds_for_the_next_request() -> None:
    quotas, shares = Quotas(), [Share(), Share(concurrency=1), Share(concurrency=1), Share()]
    stream = StreamShare("a", lambda: shares.pop(0), quotas, lambda: 0, counted=False)
    with stream.request(), stream.request():
        with pytest.raises(ClientConcurrency), stream.request():
            pass
        with stream.request():
            pass
    assert repr(quotas) == "Quotas(0 clients, 0 open)"
