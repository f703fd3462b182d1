"""grpc.health.v1: who is told what, and that nobody can make the server hang by listening."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from rhapsode_server.rpc.health import Health
from rhapsode_server.serve import life
from support.refusals import refusal
from support.server import Loaded, Running, running

NAMES = (
    "",
    "liveness",
    "readiness",
    "rhapsode.v1.TextService",
    "rhapsode.v1.ImageService",
    "rhapsode.v1.ModelService",
    "tiny-text",
    "tiny-faces",
)


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


def stub(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)  # its stubs know no rpcs


async def test_every_name_serves(server: Running) -> None:
    for name in NAMES:
        answer = await stub(server.channel).Check(HealthCheckRequest(service=name))
        assert answer.status == HealthCheckResponse.SERVING, name


async def test_a_name_that_there_is_not(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub(server.channel).Check(HealthCheckRequest(service="nobody"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await stub(server.channel).Watch(HealthCheckRequest(service="nobody")).read()).status == (
        HealthCheckResponse.SERVICE_UNKNOWN
    )


async def test_without_a_model_no_requests_are_wanted() -> None:
    health = Health(["service"])
    assert health.ready
    for models, ready in (({}, False), ({"m": False}, False), ({"m": False, "n": True}, True)):
        health.follow(models)
        assert health.ready is ready
    health.follow({})
    for name in ("", "readiness", "service"):
        assert (await health.Check(HealthCheckRequest(service=name), None)).status == HealthCheckResponse.NOT_SERVING  # type: ignore[arg-type]  # it asks the call nothing
    assert (await health.Check(HealthCheckRequest(service="liveness"), None)).status == HealthCheckResponse.SERVING  # type: ignore[arg-type]  # the same


async def test_a_watcher_is_told_of_the_stop_and_let_go(loaded: Loaded) -> None:
    stack = AsyncExitStack()
    server = await stack.enter_async_context(running(loaded))
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = stub(channel).Watch(HealthCheckRequest(service="readiness"))
        told = [(await call.read()).status]
        await stack.aclose()
        while (answer := await call.read()) is not grpc.aio.EOF:
            told.append(answer.status)
    assert told == [HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING]


async def test_a_watcher_that_does_not_read_delays_nothing() -> None:
    health, written = Health(["m"]), asyncio.Event()

    class Stalled:
        async def write(self, _message: health_pb2.HealthCheckResponse) -> None:
            written.set()
            await asyncio.Event().wait()

    watcher = asyncio.create_task(health.Watch(HealthCheckRequest(service="m"), Stalled()))  # type: ignore[arg-type]  # all of a context that Watch uses
    await written.wait()
    health.leave()
    health.close()
    watcher.cancel()
    await asyncio.gather(watcher, return_exceptions=True)


async def test_there_are_only_so_many_watches_and_checks_go_on(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "MOST_WATCHES", 2)
    async with running(loaded, max_connections=2) as server:
        watches = [stub(server.channel).Watch(HealthCheckRequest(service=name)) for name in ("readiness", "nobody")]
        for watch in watches:
            await watch.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub(server.channel).Watch(HealthCheckRequest(service="readiness")).read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
        assert refusal(caught.value).info.reason == "TOO_MANY_WATCHES"
        assert 'reason="too_many_watches"} 1.0' in await server.page()
        assert (await stub(server.channel).Check(HealthCheckRequest())).status == HealthCheckResponse.SERVING
        watches[0].cancel()
        assert await first_of_another(server) == HealthCheckResponse.SERVING


async def first_of_another(server: Running) -> int:
    """What a watch is told first, once there is room for it."""
    while True:
        with suppress(grpc.aio.AioRpcError):
            return int((await stub(server.channel).Watch(HealthCheckRequest(service="readiness")).read()).status)


async def test_liveness_outlives_readiness() -> None:
    health = Health(["m"])
    health.leave()
    states = {}
    for name in ("", "liveness", "readiness", "m"):
        answer = await health.Check(HealthCheckRequest(service=name), None)  # type: ignore[arg-type]  # not used
        states[name] = answer.status == HealthCheckResponse.SERVING
    assert states == {"": False, "liveness": True, "readiness": False, "m": False}
