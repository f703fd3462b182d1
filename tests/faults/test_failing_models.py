"""A model that fails again and again is refused at once and told to be ill, others are not, and it may recover."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rhapsode.v1 import image_pb2
from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.errors import OutOfMemory, RhapsodeError, RunFailed
from support import bundles
from support.requests import generate_text, images, text
from support.server import Loaded, Running, load, running

FAILURES, PAUSE = 3, 600.0
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Ailing:
    """A model that can be made to fail."""

    def __init__(self, sound: Any) -> None:
        self.max_batch = sound.max_batch
        self.fault: RhapsodeError | None = None
        self._sound = sound

    def advance(self, rows: Sequence[Any]) -> Any:
        if self.fault is not None:
            raise self.fault
        return self._sound.advance(rows)


@pytest.fixture(scope="module")
def some_models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("some-models")
    bundles.stepper().write(folder)
    bundles.grey_generator().write(folder)
    return load(folder)


@pytest.fixture
async def server(some_models: Loaded) -> AsyncIterator[Running]:
    async with running(some_models) as made:
        yield made


@pytest.fixture
def ailing(server: Running) -> Ailing:
    """The generator's driver, with a breaker that opens soon and stays so."""
    driver = server.server.catalog.find("tiny-digits").decode
    assert driver is not None
    driver._condition.breaker = Breaker(FAILURES, PAUSE)
    made: Any = Ailing(driver._model)
    driver._model = made
    return made  # type: ignore[no-any-return]


async def reason(server: Running) -> str:
    """Ask for a picture: why there is none, empty where there is one."""
    try:
        await server.image.GenerateImages(
            image_pb2.GenerateImagesRequest(generation=images(1, model="tiny-digits")), timeout=60
        )
    except grpc.aio.AioRpcError as error:
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        return str(info.reason)
    return ""


async def health(server: Running, name: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    reply = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return int(reply.status)


async def until_well(server: Running) -> None:
    async with asyncio.timeout(60):
        while await health(server, "tiny-digits") != SERVING:
            await asyncio.sleep(0.01)


def failures(server: Running, why: str) -> float:
    labels = {"model": "tiny-digits", "version": "1", "role": "decode", "reason": why}
    return server.server.registry.get_sample_value("rhapsode_run_failures_total", labels) or 0.0


@pytest.mark.parametrize("fault", [RunFailed("the graph could not be run"), OutOfMemory("there was not the memory")])
async def test_failures_in_a_row_open_the_breaker(server: Running, ailing: Ailing, fault: RhapsodeError) -> None:
    ailing.fault = fault
    assert [await reason(server) for _ in range(FAILURES)] == [fault.reason] * FAILURES
    assert failures(server, fault.reason.lower()) == FAILURES
    assert await health(server, "tiny-digits") == NOT_SERVING
    assert [await health(server, name) for name in ("", "readiness", "liveness", "tiny-text")] == [SERVING] * 4
    assert (await generate_text(server, text(3))).candidates


async def test_it_refuses_at_once_while_it_is_open(server: Running, ailing: Ailing) -> None:
    ailing.fault = RunFailed("the graph could not be run")
    assert [await reason(server) for _ in range(FAILURES + 2)][-2:] == ["MODEL_UNHEALTHY"] * 2
    assert failures(server, "run_failed") == FAILURES
    refused = {"model": "tiny-digits", "reason": "model_unhealthy"}
    assert server.server.registry.get_sample_value("rhapsode_requests_rejected_total", refused) == 2


async def test_a_model_that_can_be_run_again_serves_again(server: Running, ailing: Ailing) -> None:
    driver = server.server.catalog.find("tiny-digits").decode
    assert driver is not None
    driver._condition.breaker = Breaker(FAILURES, pause=0.2)
    ailing.fault = RunFailed("the graph could not be run")
    for _ in range(FAILURES):
        await reason(server)
    ailing.fault = None
    await until_well(server)  # by itself, so that whoever goes by health comes back
    async with asyncio.timeout(60):
        while await reason(server) != "":
            await asyncio.sleep(0.01)
    assert [await reason(server) for _ in range(3)] == [""] * 3
    messages = [line["msg"] for line in server.log_lines()]
    assert messages.index("model unhealthy") < messages.index("model tried again")
    unhealthy = next(line for line in server.log_lines() if line["msg"] == "model unhealthy")
    assert (unhealthy["lane"], unhealthy["level"]) == ("tiny-digits@1/decode", "error")
