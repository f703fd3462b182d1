"""Models that come and go under the rpcs: nobody who uses one notices, and nothing of one that has gone stays."""

import asyncio
import gc
import threading
import types
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import grpc
import onnxruntime
import pytest

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.registry import Registry
from rhapsode_server.rpc.catalog import Catalog
from support.living import Versions, away, come, leave, until_free
from support.refusals import refusal
from support.replies import reply
from support.requests import generate_images, generate_text, images, text
from support.server import Running, running

LONG = text(2000, logprobs=20)  # more than the window of a client that reads nothing


@pytest.fixture
async def server(versions: Versions) -> AsyncIterator[Running]:
    async with running(versions.first, max_tokens=10_000) as started:
        yield started


@pytest.fixture
def catalog(server: Running) -> Catalog:
    return server.server.catalog


@contextmanager
def no_collector() -> Iterator[None]:
    """As it is for all that was there when a process began to serve."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def sessions(loaded: LoadedModel) -> list[weakref.ref[object]]:
    """What holds the memory of a model."""
    found: list[weakref.ref[object]] = []
    seen: set[int] = set()
    left: list[object] = [loaded]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(each))
        if isinstance(each, onnxruntime.InferenceSession):
            found.append(weakref.ref(each))
        else:
            left += gc.get_referents(each)
    return found


async def failure(server: Running, model: str) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, text(4, model=model))
    return refusal(caught.value).info.reason


async def test_a_stream_ends_on_the_version_that_it_began_on(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    old, asked = catalog.residents.find("tiny-text"), text_pb2.StreamTextRequest(generation=LONG)
    undisturbed = said([message async for message in server.text.StreamText(asked)])
    await until_free(catalog, old)
    messages = aiter(server.text.StreamText(asked))
    begun = await anext(messages)
    come(catalog, versions.load("tiny-text"))
    going = asyncio.create_task(leave(catalog, old))
    assert (await generate_text(server, text(4))).started.version == 2
    assert await failure(server, "tiny-text@1") == "MODEL_NOT_FOUND"
    assert (catalog.holders(old), going.done()) == (1, False)
    assert said([begun, *[message async for message in messages]]) == undisturbed
    await going
    assert said([message async for message in server.text.StreamText(asked)]) != undisturbed


def said(messages: Sequence[text_pb2.StreamTextResponse]) -> Sequence[object]:
    chunks = [chunk for message in messages for chunk in message.chunks]
    return [told for chunk in chunks for told in zip(chunk.token_ids, chunk.logprobs, strict=True)]


async def test_all_stages_of_a_request_meet_the_models_that_it_found(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    asked = images(4, keep_best=image_pb2.KeepBest(drawn=64, critic="tiny-judge"))
    expected = await generate_images(server, asked)
    judge, faces = catalog.residents.find("tiny-judge"), catalog.residents.find("tiny-faces")
    for _ in range(5):
        answers = [asyncio.create_task(generate_images(server, asked)) for _ in range(4)]
        while not (catalog.holders(judge) and catalog.holders(faces)):
            await asyncio.sleep(0)
        newer_judge, newer_faces = versions.load("tiny-judge"), versions.load("tiny-faces")
        come(catalog, newer_judge)
        come(catalog, newer_faces)
        going = asyncio.gather(leave(catalog, judge), leave(catalog, faces))
        for answer in await asyncio.gather(*answers):
            assert answer.images == (expected.images if answer.started.version == 1 else answer.images)
        await going
        come(catalog, judge)
        come(catalog, faces)
        await asyncio.gather(leave(catalog, newer_judge), leave(catalog, newer_faces))


async def test_what_is_retired_is_freed_at_once_and_without_the_collector(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    with no_collector():
        for name in ("tiny-text", "tiny-faces", "tiny-judge"):
            model = versions.load(name)
            held = sessions(model)
            assert held
            come(catalog, model)
            if name != "tiny-judge":
                await generate_text(server, text()) if name == "tiny-text" else await generate_images(server, images())
            await leave(catalog, model)
            del model
            assert [each() for each in held] == [None] * len(held), name
    assert not [thread for thread in threading.enumerate() if "@2/" in thread.name]


async def test_what_was_loaded_at_the_start_is_freed_as_well(versions: Versions) -> None:
    models = Registry([versions.load("tiny-text", 1), versions.load("tiny-faces", 1)])
    async with running(replace(versions.first, models=models)) as server:
        models.let_go()  # as the one does who serves until the process ends
        catalog = server.server.catalog
        with no_collector():
            held = sessions(catalog.residents.find("tiny-text"))
            assert held
            await leave(catalog, catalog.residents.find("tiny-text"))
            assert [each() for each in held] == [None] * len(held)


async def test_a_reload_of_the_same_version_changes_no_byte(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    before = await reply(server.channel, text(), streamed=False)
    replaced = come(catalog, versions.load("tiny-text", 1))
    assert replaced is not None
    await away(catalog, replaced)
    assert await reply(server.channel, text(), streamed=False) == before


async def test_a_stop_while_a_model_retires_is_quick(versions: Versions) -> None:
    async with running(versions.first, max_tokens=10_000, grace=0.1) as server:
        catalog = server.server.catalog
        new = versions.load("tiny-text")
        come(catalog, new)
        call = server.text.StreamText(text_pb2.StreamTextRequest(generation=LONG))
        await call.read()
        going = asyncio.create_task(leave(catalog, new))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await server.server.stop()
            await going
    assert not [thread for thread in threading.enumerate() if "tiny-text@2/" in thread.name]
