"""What operators ask for takes its course: nothing is lost of what waits for its turn, of a stop or of a failure."""

import asyncio
import gc
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import grpc
import pytest

from rhapsode.v1 import text_pb2
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.residents import Residents, State
from rhapsode_server.serve.model_loader import Loader
from support.bundles import stepper
from support.operated import Operated, at_gate, gate, operated, refused
from support.rehearsing import PROGRAM
from support.requests import text

STOPPING = (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
NEW = ("tiny-text", 2)


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the child wait where there is a gate."""
    monkeypatch.setattr("rhapsode_server.serve.loading.Loader", partial(Loader, program=PROGRAM))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Operated]:
    stepper().write(tmp_path)
    async with operated(tmp_path, drain_delay=0.2, grace=0.1) as started:
        for version in (2, 3):
            stepper(version=version, seed=version).write(tmp_path)
        yield started


@pytest.fixture
def residents(server: Operated) -> Residents[LoadedModel]:
    return server.running.server.catalog.residents


async def ask(server: Operated, model: str) -> int:
    """Ask for a text, with ample time: the version that made it."""
    asked = text_pb2.GenerateTextRequest(generation=text(4, model=model))
    return (await server.running.text.GenerateText(asked, timeout=60)).started.version


async def until(there: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not there():
            await asyncio.sleep(0.005)


async def test_a_load_that_waits_for_its_turn_is_waited_for(
    server: Operated, residents: Residents[LoadedModel]
) -> None:
    with gate(server.models) as closed:
        loads = [asyncio.create_task(server.load("tiny-text@2"))]
        held = await at_gate(closed)
        loads.append(asyncio.create_task(server.load("tiny-text@3")))
        await until(lambda: residents.status(("tiny-text", 3)).state is State.LOADING)
        answer = asyncio.create_task(ask(server, "tiny-text@3"))
        await until(lambda: server.running.server.catalog._arrivals.waiters("tiny-text"))
        assert (await refused(server.get("tiny-text@3")))[1] == "MODEL_LOADING"
    os.close(held)
    assert [(await each).version for each in loads] == [2, 3]
    assert await answer == 3


async def test_a_stop_tells_who_waits_for_a_load_that_it_stops(
    server: Operated, residents: Residents[LoadedModel]
) -> None:
    with gate(server.models) as closed:
        load = asyncio.create_task(refused(server.load("tiny-text@2")))
        await at_gate(closed)
        waits = asyncio.create_task(refused(ask(server, "tiny-text@2")))
        await until(lambda: server.running.server.catalog._arrivals.waiters("tiny-text"))
        stop = asyncio.create_task(server.running.server.stop())
        await server.until_logged("draining")
        assert (await load)[:2] == (await waits)[:2] == STOPPING
        assert (await refused(ask(server, "tiny-text@2")))[:2] == STOPPING
    await stop
    assert residents.status(NEW).state is State.LOADING


async def test_what_was_asked_for_comes_to_pass_without_its_client(
    server: Operated, residents: Residents[LoadedModel]
) -> None:
    control = server.running.server.control
    for command in (control.load, control.unload):  # the second while the first looks into the folder
        asked = asyncio.create_task(command("tiny-text", 2))
        await asyncio.sleep(0)
        asked.cancel()
    await server.until_logged("model unloaded")
    assert residents.status(NEW).state is State.UNLOADED


async def test_a_model_that_cannot_be_driven_is_a_load_that_failed(
    server: Operated, residents: Residents[LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, taken = server.running.server.catalog, list[weakref.ref[object]]()
    start, take = threading.Thread.start, catalog._take

    def start_one(thread: threading.Thread) -> None:
        if thread.name.endswith("/step_raw") and len(taken) < 3:
            raise RuntimeError("can't start new thread")
        start(thread)

    def see(model: LoadedModel) -> object:
        taken.append(weakref.ref(model.stepper))
        return take(model)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    monkeypatch.setattr(catalog, "_take", see)
    drivers = len(catalog.drivers())
    for version in (1, 2):
        code, reason, words = await refused(server.load(f"tiny-text@{version}"))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LOAD_FAILED")
        status = residents.status(("tiny-text", version))
        assert (status.loading, status.problem) == (False, words)
    assert [status.state for status in residents.statuses] == [State.READY, State.FAILED]
    assert len(catalog.drivers()) == drivers
    assert await server.failures() == {"failed": 2}
    assert await ask(server, "tiny-text") == 1
    await until(lambda: not [each for each in threading.enumerate() if "tiny-text@2" in each.name])
    gc.collect()
    assert [each() for each in taken] == [None, None]
    lanes = [line for line in (await server.running.page()).splitlines() if line.startswith("rhapsode_slots{")]
    assert lanes
    assert not [line for line in lanes if 'version="2"' in line]
    assert (await server.load("tiny-text@2")).version == 2
    assert await ask(server, "tiny-text") == 2
