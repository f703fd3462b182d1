"""Credentials are exchanged while the server serves, and no request fails by it."""

import asyncio
import time
from functools import partial
from pathlib import Path

import grpc
import pytest

from rhapsode.v1.model_pb2 import ListModelsRequest
from rhapsode.v1.text_pb2 import StreamTextRequest
from rhapsode_server.serve import access_watch
from rhapsode_server.serve.watching import Watch
from support import bundles
from support.access import bearer, entry, write
from support.requests import ENDLESS, text
from support.server import Loaded, Running, load, running

PATIENCE = 60.0  # seconds for a change to be noticed


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    return load(folder)


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for changes more often than once a second."""
    monkeypatch.setattr(access_watch, "Watch", partial(Watch, interval=0.05))


async def code(server: Running, token: str) -> grpc.StatusCode:
    try:
        await server.model.ListModels(ListModelsRequest(), metadata=bearer(token))
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def until_logged(server: Running, message: str, times: int) -> None:
    end = time.monotonic() + PATIENCE
    while [line["msg"] for line in server.log_lines()].count(message) < times:
        assert time.monotonic() < end, f"{message} was not said"
        await asyncio.sleep(0.05)


async def test_a_rotation_fails_no_request(models: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    access = write(path, entry("one", "old"))
    token, codes = "old", []
    done = asyncio.Event()

    async def work() -> None:
        while not done.is_set():
            codes.append(await code(server, token))

    async with running(models, access=access, max_tokens=ENDLESS) as server:
        asked = StreamTextRequest(generation=text(ENDLESS))
        stream = server.text.StreamText(asked, metadata=bearer("old"))
        await stream.read()
        working = asyncio.create_task(work())
        write(path, entry("one", "old", "new"))
        await until_logged(server, "access reloaded", 1)
        token, before = "new", len(codes)
        while len(codes) < before + 2:  # none with the old one is under way any more
            await asyncio.sleep(0)
        write(path, entry("one", "new"))
        await until_logged(server, "access reloaded", 2)
        done.set()
        await working
        assert set(codes) == {grpc.StatusCode.OK}
        assert await code(server, "old") is grpc.StatusCode.UNAUTHENTICATED
        assert await stream.read()  # what was let in goes on
        stream.cancel()


async def test_a_broken_file_changes_nothing_but_a_metric(models: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    access = write(path, entry("one", "old"))
    async with running(models, access=access) as server:
        path.write_text("[[clients]]\nname = the-secret", encoding="utf-8")
        await until_logged(server, "access not reloaded", 1)
        assert "rhapsode_access_reload_failures_total 1.0" in await server.page()
        assert await code(server, "old") is grpc.StatusCode.OK
        assert "the-secret" not in server.log.getvalue()
        write(path, entry("one", "new"))
        await until_logged(server, "access reloaded", 1)
        assert (await code(server, "old"), await code(server, "new")) == (
            grpc.StatusCode.UNAUTHENTICATED,
            grpc.StatusCode.OK,
        )
