"""Who holds which model: for as long as an rpc lasts, never longer, however it ends."""

import asyncio
import random
from collections.abc import AsyncIterator

import grpc
import pytest

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.leases import Holders, hold, leases
from support.living import Versions, until_free
from support.requests import images, text
from support.server import Running, running

UNREAD = text_pb2.StreamTextRequest(generation=text(10_000, logprobs=20))
"""More than the window of a client that reads nothing: it goes on until its client ends it."""


@pytest.fixture
async def server(versions: Versions) -> AsyncIterator[Running]:
    async with running(versions.first, max_tokens=10_000, queue=4, slots=4) as started:
        yield started


def test_what_is_found_twice_is_held_once_and_until_the_end() -> None:
    one, other = Holders(), Holders()
    with leases():
        hold(one)
        hold(one)
        hold(other)
        assert (one.count, other.count) == (1, 1)
    assert (one.count, other.count) == (0, 0)


def test_outside_of_an_rpc_nothing_is_held() -> None:
    holders = Holders()
    hold(holders)
    assert holders.count == 0


def test_a_message_of_a_stream_holds_for_itself() -> None:
    holders = Holders()
    with leases():
        with leases():
            hold(holders)
        assert holders.count == 0
        hold(holders)
        assert holders.count == 1
    assert holders.count == 0


async def test_a_task_holds_for_its_rpc_and_nothing_once_that_is_over() -> None:
    early, late, over = Holders(), Holders(), asyncio.Event()

    async def work() -> None:
        hold(early)
        await over.wait()
        hold(late)

    with leases():
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert early.count == 1
    assert early.count == 0
    over.set()
    await task
    assert late.count == 0


async def test_who_waits_until_nobody_holds_waits_for_all() -> None:
    holders = Holders()
    with leases():
        hold(holders)
        waiting = asyncio.create_task(holders.none())
        with leases():
            hold(holders)
        await asyncio.sleep(0)
        assert not waiting.done()
    holders.come()  # before the waiter has its turn
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    holders.go()
    await waiting


async def test_no_lease_is_lost_or_kept_whatever_becomes_of_rpcs(server: Running) -> None:
    catalog, dice = server.server.catalog, random.Random(8)
    for _ in range(12):
        calls = [begin(server, dice) for _ in range(16)]
        calls.append(server.text.StreamText(UNREAD))
        async with asyncio.timeout(30):
            while not held(catalog)["tiny-text"]:
                await asyncio.sleep(0)
        await asyncio.sleep(dice.choice((0, 0, 0.001, 0.01)))
        for call in calls:
            if dice.random() < 0.7:
                call.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*(end(call) for call in calls))
    await asyncio.gather(*(until_free(catalog, served.loaded) for served in catalog.models))
    assert held(catalog) == {"tiny-faces": 0, "tiny-judge": 0, "tiny-text": 0}


async def test_an_rpc_that_ends_on_its_deadline_holds_nothing(server: Running) -> None:
    assert await server.text.StreamText(UNREAD, timeout=0.3).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until_free(server.server.catalog, server.server.catalog.residents.find("tiny-text"))


def held(catalog: Catalog) -> dict[str, int]:
    return {served.loaded.name: catalog.holders(served.loaded) for served in catalog.models}


def begin(server: Running, dice: random.Random) -> "grpc.aio.Call":
    """An rpc of any kind: streams that are read late or not at all, several stages, what is refused or there not."""
    return dice.choice(
        (
            lambda: server.text.StreamText(text_pb2.StreamTextRequest(generation=text(400, logprobs=20))),
            lambda: server.text.GenerateText(text_pb2.GenerateTextRequest(generation=text(20))),
            lambda: server.image.GenerateImages(
                image_pb2.GenerateImagesRequest(
                    generation=images(2, keep_best=image_pb2.KeepBest(drawn=20, critic="tiny-judge"))
                )
            ),
            lambda: server.image.StreamImages(image_pb2.StreamImagesRequest(generation=images(50))),
            lambda: server.text.GenerateText(text_pb2.GenerateTextRequest(generation=text(3, text="THE"))),
            lambda: server.text.GenerateText(text_pb2.GenerateTextRequest(generation=text(3, model="tiny-text@9"))),
            lambda: server.model.GetModel(model_pb2.GetModelRequest(model="tiny-faces")),
        )
    )()


async def end(call: "grpc.aio.Call") -> None:
    """Have an rpc end, by itself or because it is not read to its end."""
    try:
        if isinstance(call, grpc.aio.UnaryStreamCall):
            await call.read()
            call.cancel()
        await call.code()
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        pass
