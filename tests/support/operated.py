"""A server with a folder of models that change, and its operator."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from rhapsode.v1 import model_pb2
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from support.refusals import refusal
from support.rehearsing import CHILDREN, GATE
from support.server import Running, load, running

if TYPE_CHECKING:
    from rhapsode.v1.model_pb2_grpc import ModelServiceAsyncStub


@dataclass(frozen=True)
class Operated:
    """A server in this process, the stub of its admin address, and its folder of models."""

    running: Running
    admin: "ModelServiceAsyncStub"
    models: Path

    async def load(self, model: str) -> model_pb2.ModelStatus:
        return (await self.admin.LoadModel(model_pb2.LoadModelRequest(model=model))).status

    async def unload(self, model: str) -> list[model_pb2.ModelStatus]:
        return list((await self.admin.UnloadModel(model_pb2.UnloadModelRequest(model=model))).statuses)

    async def alias(self, model: str, alias: str, version: int | None) -> dict[str, int]:
        asked = model_pb2.SetModelAliasRequest(model=model, alias=alias, version=version)
        return {each.alias: each.version for each in (await self.admin.SetModelAlias(asked)).aliases}

    async def get(self, model: str) -> model_pb2.Model:
        """A model, as its clients see it."""
        return (await self.running.model.GetModel(model_pb2.GetModelRequest(model=model))).model

    def watch(self) -> "grpc.aio.UnaryStreamCall[Any, model_pb2.WatchModelsResponse]":
        return self.admin.WatchModels(model_pb2.WatchModelsRequest())

    async def news(self, watch: Any) -> list[model_pb2.ModelStatus]:
        """The next message of a watch."""
        return list((await watch.read()).statuses)

    async def status(self, model: str) -> model_pb2.ModelStatus:
        """How a version stands now."""
        watch = self.watch()
        (told,) = (each for each in await self.news(watch) if f"{each.model}@{each.version}" == model)
        watch.cancel()
        return told

    async def failures(self) -> dict[str, float]:
        """Loads that have failed, by the reason."""
        page = await self.running.page()
        lines = [line for line in page.splitlines() if line.startswith("rhapsode_model_load_failures_total{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in lines if not line.endswith(" 0.0")}

    async def until_logged(self, message: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for so many log lines with a message: they."""
        async with asyncio.timeout(60):
            while len(lines := [line for line in self.running.log_lines() if line["msg"] == message]) < count:
                await asyncio.sleep(0.005)
        return lines


@asynccontextmanager
async def operated(models: Path, **settings: str | int | float) -> AsyncIterator[Operated]:
    """Serve what the folder holds now."""
    admin = f"unix:{models}/.admin"
    async with (
        running(load(models), models=str(models), admin_address=admin, **settings) as server,
        grpc.aio.insecure_channel(server.server.admin_address) as channel,
    ):
        yield Operated(server, ModelServiceStub(channel), models)


def children(models: Path) -> list[int]:
    """Which processes have rehearsed, where that is told."""
    file = models / CHILDREN
    return [int(line) for line in file.read_text().split()] if file.exists() else []


@contextmanager
def gate(models: Path) -> Iterator[Path]:
    """Have children wait, while this lasts."""
    path = models / GATE
    os.mkfifo(path)
    try:
        yield path
    finally:
        path.unlink()


async def at_gate(gate: Path) -> int:
    """Wait until a child waits there: a descriptor that lets it go when it is closed."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):  # nobody is there to read
                return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
            await asyncio.sleep(0.005)


async def refused(call: Any) -> tuple[grpc.StatusCode, str, str]:
    """The code, the reason and the words of a refusal."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), refusal(caught.value).info.reason, caught.value.details() or ""
