"""Models are loaded, unloaded and named by an operator, while requests are served."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import grpc
import pytest

from rhapsode.v1 import model_pb2, text_pb2
from rhapsode.v1.model_pb2 import ListModelsRequest, ModelState
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_server.repository.residents import Key
from rhapsode_server.serve.model_loader import Loader
from support.bundles import stepper
from support.operated import Operated, at_gate, children, gate, operated, refused
from support.rehearsing import PROGRAM
from support.requests import ENDLESS, text
from support.server import process

READY, FAILED = ModelState.MODEL_STATE_READY, ModelState.MODEL_STATE_FAILED
UNLOADED, LOADING = ModelState.MODEL_STATE_UNLOADED, ModelState.MODEL_STATE_LOADING
PRECONDITION, NOT_FOUND = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND
REHEARSING = f"""
from functools import partial
from itertools import groupby
from rhapsode_server import main
from rhapsode_server.serve import loading, model_loader
loading.Loader = partial(model_loader.Loader, program={PROGRAM!r})
main.main()
"""
NO_NAMES = ("", "../tiny-text", "tiny-text@0", "tiny-text@stable", "tiny-text@1/..", "a\nb", "Tiny", "tiny-text@1 ")


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the child do what the models' names say."""
    monkeypatch.setattr("rhapsode_server.serve.loading.Loader", partial(Loader, program=PROGRAM))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Operated]:
    stepper().write(tmp_path)
    async with operated(tmp_path, max_tokens=ENDLESS) as started:
        yield started


def rewrite(models: Path, seed: int) -> None:
    """Have the first version be another bundle."""
    shutil.rmtree(models / "tiny-text" / "1")
    stepper(seed=seed).write(models)


async def read_on(watch: Any) -> None:
    while await watch.read() is not grpc.aio.EOF:
        pass


async def test_a_version_that_came_into_the_folder_is_loaded(server: Operated) -> None:
    first = await server.get("tiny-text")
    stepper(version=2, seed=2).write(server.models)
    status = await server.load("tiny-text")
    second = await server.get("tiny-text")
    assert (status.model, status.version, status.state, status.loading, status.problem) == (
        "tiny-text",
        2,
        READY,
        0,
        "",
    )
    assert (status.digest, status.fingerprint) == (second.digest, second.runtime.fingerprint)
    assert status.bytes == sum(file.stat().st_size for file in (server.models / "tiny-text" / "2").glob("[!b]*"))
    assert (second.version, (await server.get("tiny-text@1")).digest) == (2, first.digest)
    (line,) = await server.until_logged("model switched")
    assert (line["model_version"], line["previous_version"], line["digest"]) == (2, 1, second.digest)
    listed = [await stub.ListModels(ListModelsRequest()) for stub in (server.admin, server.running.model)]
    assert [[each.version for each in one.models] for one in listed] == [[1, 2], [1, 2]]


async def test_a_version_that_was_written_anew_takes_the_place_of_itself(server: Operated) -> None:
    before = await server.get("tiny-text")
    rewrite(server.models, seed=9)
    status = await server.load("tiny-text@1")
    assert status.digest == (await server.get("tiny-text")).digest != before.digest
    (gone,) = await server.until_logged("model unloaded")
    assert (gone["model_version"], gone["digest"]) == (1, before.digest)
    assert (await server.status("tiny-text@1")).state == READY


async def test_a_load_that_fails_changes_nothing(server: Operated) -> None:
    before = await server.get("tiny-text")
    card = server.models / "tiny-text" / "1" / "card.md"
    for spoil in (partial(card.write_text, "another"), card.unlink):
        spoil()
        code, reason, words = await refused(server.load("tiny-text@1"))
        assert (code, reason) == (PRECONDITION, "LOAD_FAILED")
        assert words.startswith("bundle tiny-text/1: card.md: ")
        status = await server.status("tiny-text@1")
        assert (status.state, status.loading, status.problem, status.digest) == (READY, False, words, before.digest)
    for name in ("a-crasher", "a-liar"):
        stepper(name).write(server.models)
        assert (await refused(server.load(name)))[:2] == (PRECONDITION, "LOAD_FAILED")
        assert (await server.status(f"{name}@1")).state == ModelState.MODEL_STATE_FAILED
        assert (await refused(server.get(name)))[0] is NOT_FOUND
    assert await server.failures() == {"refused": 2, "crashed": 1, "changed": 1}
    told = [(line["reason"], line["model"]) for line in await server.until_logged("model load failed", 4)]
    assert told == [("refused", "tiny-text")] * 2 + [("crashed", "a-crasher"), ("changed", "a-liar")]
    assert "ends the process that loads it, with SIGSEGV" in (await server.status("a-crasher@1")).problem
    assert (await server.get("tiny-text")).digest == before.digest
    rewrite(server.models, seed=3)
    assert not (await server.load("tiny-text@1")).problem


async def test_what_is_no_model_is_not_looked_for(server: Operated) -> None:
    for name in NO_NAMES:
        for call in (server.load(name), server.unload(name)):
            assert (await refused(call))[0] is grpc.StatusCode.INVALID_ARGUMENT, name
    for name in ("nobody", "tiny-text@7", "tiny-text.onnx"):
        assert (await refused(server.load(name)))[0] is NOT_FOUND, name
        assert (await refused(server.unload(name)))[0] is NOT_FOUND, name
    (server.models / "linked").symlink_to(server.models / "tiny-text")
    (server.models / "tiny-text" / "03").mkdir()
    assert (await refused(server.load("linked@1")))[:2] == (PRECONDITION, "LOAD_FAILED")
    assert (await refused(server.load("tiny-text@3")))[2].endswith("the folder of models; there is 1")
    assert (await refused(server.load("nobody")))[2] == "no model of that name lies in the folder of models"
    assert not children(server.models)


async def test_no_more_is_loaded_than_there_is_room_for(tmp_path: Path) -> None:
    stepper().write(tmp_path)
    async with operated(tmp_path, max_models=1) as server:
        stepper(version=2).write(tmp_path)
        for model in ("tiny-text@1", "tiny-text@2"):
            code, reason, words = await refused(server.load(model))
            assert (code, reason) == (PRECONDITION, "REPOSITORY_FULL")
            assert "--max-models" in words
        assert not children(server.models)
        assert await server.failures() == {"full": 2}
        stood = [await server.status(each) for each in ("tiny-text@1", "tiny-text@2")]
        assert [(each.state, bool(each.problem)) for each in stood] == [(READY, False), (FAILED, True)]
        await server.unload("tiny-text@1")
        assert (await server.load("tiny-text@2")).state == READY
    async with operated(tmp_path, max_model_bytes=60_000) as server:
        stepper(version=3).write(tmp_path)
        assert "--max-model-bytes" in (await refused(server.load("tiny-text")))[2]


async def test_aliases_name_what_is_served(server: Operated) -> None:
    stepper(version=2).write(server.models)
    await server.load("tiny-text")
    assert await server.alias("tiny-text", "stable", 1) == {"stable": 1}
    assert await server.alias("tiny-text", "default", 1) == {"default": 1, "stable": 1}
    named = await server.get("tiny-text@stable")
    assert (named.version, (await server.get("tiny-text")).version) == (1, 1)
    assert named.aliases == ["default", "stable"]
    assert (await server.status("tiny-text@1")).aliases == ["default", "stable"]
    for call in (server.unload("tiny-text@1"), server.unload("tiny-text")):
        assert (await refused(call))[:2] == (PRECONDITION, "MODEL_IN_USE")
    assert await server.alias("tiny-text", "stable", 2) == {"default": 1, "stable": 2}
    assert await server.alias("tiny-text", "default", None) == {"stable": 2}
    assert (await server.get("tiny-text")).version == 2
    (line,) = await server.until_logged("model alias removed")
    assert (line["model"], line["alias"], "model_version" in line) == ("tiny-text", "default", False)
    for alias, version in (("stable", 7), ("canary", None)):
        assert (await refused(server.alias("tiny-text", alias, version)))[0] is NOT_FOUND
    assert (await refused(server.alias("nobody", "stable", 1)))[0] is NOT_FOUND
    assert (await refused(server.alias("tiny-text", "7", 1)))[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert [each.version for each in await server.unload("tiny-text@1")] == [1]


async def test_an_unload_waits_for_what_was_begun(server: Operated) -> None:
    stream = server.running.text.StreamText(text_pb2.StreamTextRequest(generation=text(ENDLESS)))
    await stream.read()
    unload = asyncio.create_task(server.unload("tiny-text"))
    await server.until_logged("model unloading")
    assert (await refused(server.get("tiny-text")))[0] is NOT_FOUND
    assert (await server.status("tiny-text@1")).state == ModelState.MODEL_STATE_UNLOADING
    again = asyncio.create_task(server.unload("tiny-text@1"))  # somebody else's, who is told the same
    assert (await stream.read()) is not grpc.aio.EOF
    assert not unload.done()
    stream.cancel()
    (status,), (same,) = await unload, await again
    assert (status.state, status.digest, status.bytes, same.state) == (UNLOADED, "", 0, UNLOADED)
    assert (await refused(server.unload("tiny-text")))[0] is NOT_FOUND
    assert (await server.load("tiny-text")).state == READY


async def test_what_an_operator_unloads_is_told_to_who_keeps_the_folder(server: Operated) -> None:
    control, away = server.running.server.control, list[tuple[Key, str]]()
    control.put_away = lambda key, digest: away.append((key, digest))
    digest = (await server.get("tiny-text")).digest
    await control.unload("tiny-text", 1, by_folder=True)
    await server.load("tiny-text")
    assert not away
    await server.unload("tiny-text")
    assert away == [(("tiny-text", 1), digest)]


async def test_every_change_is_told(server: Operated) -> None:
    watch = server.watch()
    (first,) = await server.news(watch)
    assert (first.model, first.version, first.state) == ("tiny-text", 1, READY)
    assert first.changed.ToNanoseconds() > 0
    stepper(version=2).write(server.models)
    await server.load("tiny-text")
    await server.unload("tiny-text@2")
    told = [(2, LOADING)]
    while told[-1][1] != UNLOADED:
        told += [(each.version, each.state) for each in await server.news(watch)]
    assert [state for state, _ in groupby(state for _, state in told)][:2] == [LOADING, READY]
    assert {version for version, _ in told} == {2}


async def test_who_does_not_read_is_told_the_last_of_each_version(server: Operated) -> None:
    watch, control = server.watch(), server.running.server.control
    await server.news(watch)
    for version in (*(1, None) * 1000, 1):  # in one turn of the event loop
        control.set_alias("tiny-text", "stable", version)
    assert [each.aliases for each in await server.news(watch)] == [["stable"]]
    await server.alias("tiny-text", "stable", None)
    assert [each.aliases for each in await server.news(watch)] == [[]]


async def test_a_load_goes_on_without_its_client(server: Operated) -> None:
    stepper(version=2).write(server.models)
    with gate(server.models) as closed:
        load = asyncio.create_task(server.load("tiny-text"))
        held = await at_gate(closed)
        assert (await server.status("tiny-text@2")).loading
        load.cancel()
        same = [asyncio.create_task(server.load(name)) for name in ("tiny-text", "tiny-text@2")]
        os.close(held)
        assert [(await each).state for each in same] == [READY, READY]
    assert len(children(server.models)) == 1


async def test_a_stop_ends_a_load(tmp_path: Path) -> None:
    stepper().write(tmp_path)
    admin = f"unix:{tmp_path}/.admin"
    with process(tmp_path, "--admin-address", admin, program=("-c", REHEARSING)) as server:
        async with grpc.aio.insecure_channel(admin) as channel:
            stub = ModelServiceStub(channel)
            stepper(version=2).write(tmp_path)
            stepper(version=3).write(tmp_path)
            watch = stub.WatchModels(model_pb2.WatchModelsRequest())
            await watch.read()
            with gate(tmp_path) as closed:
                asked = [model_pb2.LoadModelRequest(model=f"tiny-text@{version}") for version in (2, 3)]
                loads = [asyncio.create_task(refused(stub.LoadModel(each))) for each in asked]
                await at_gate(closed)
                server.process.send_signal(signal.SIGTERM)
                told = await asyncio.gather(*loads)
            assert [each[:2] for each in told] == [(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")] * 2
            assert (await refused(read_on(watch)))[:2] == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
        assert await asyncio.to_thread(server.process.wait, 60) == 0
    (child,) = children(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
