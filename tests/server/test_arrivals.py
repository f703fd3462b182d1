"""Requests for a model that is being loaded: who waits, for how long, and what the others are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from inference.asking import FACES, faces, stub
from rhapsode.oip import inference_pb2 as oip
from rhapsode.v1 import text_pb2
from rhapsode_server.errors import ModelLoading, ModelNotFound
from rhapsode_server.repository.residents import Residents
from rhapsode_server.rpc import arrivals
from rhapsode_server.rpc.arrivals import LEAST, MOST_WAITERS, SPARE, USUAL, Arrivals
from rhapsode_server.rpc.caller import CALLER, Caller
from rhapsode_server.rpc.catalog import Catalog
from support.living import Versions, arrive, begin, leave
from support.refusals import Refusal, refusal
from support.requests import text
from support.server import Running, running

NEW = "tiny-text@2"
AMPLE = 3 * USUAL


@pytest.fixture
async def server(versions: Versions) -> AsyncIterator[Running]:
    async with running(versions.first) as started:
        yield started


@pytest.fixture
def catalog(server: Running) -> Catalog:
    return server.server.catalog


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ask(server: Running, timeout: float | None = AMPLE, model: str = NEW) -> Awaitable[text_pb2.GenerateTextResponse]:
    return server.text.GenerateText(text_pb2.GenerateTextRequest(generation=text(4, model=model)), timeout=timeout)


async def refused(answer: Awaitable[object]) -> tuple[grpc.StatusCode, Refusal]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    return caught.value.code(), refusal(caught.value)


async def until_waiting(catalog: Catalog, count: int, name: str = "tiny-text") -> None:
    async with asyncio.timeout(30):
        while catalog._arrivals.waiters(name) != count:
            await asyncio.sleep(0)


async def test_who_has_the_time_waits_for_a_model_that_is_loading(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    new = versions.load("tiny-text")
    begin(catalog, new)
    answers = [asyncio.ensure_future(ask(server)) for _ in range(3)]
    await until_waiting(catalog, 3)
    arrive(catalog, new)
    assert [answer.started.version for answer in await asyncio.gather(*answers)] == [2, 2, 2]
    assert catalog._arrivals.waiters("tiny-text") == 0
    assert not catalog.awaits


def each_method(server: Running, timeout: float | None = AMPLE) -> list[Awaitable[Any]]:
    """What the Open Inference Protocol asks of a graph of tiny-faces@2, method by method."""
    asks, fields = stub(server), {"name": FACES, "version": "2"}
    return [
        asks.ModelMetadata(oip.ModelMetadataRequest(**fields), timeout=timeout),
        asks.ModelConfig(oip.ModelConfigRequest(**fields), timeout=timeout),
        asks.ModelStatistics(oip.ModelStatisticsRequest(**fields), timeout=timeout),
        asks.ModelInfer(faces(model_version="2"), timeout=timeout),
    ]


async def test_each_method_of_the_open_inference_protocol_waits(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    new = versions.load("tiny-faces")
    begin(catalog, new)
    for answer in each_method(server, timeout=None):
        assert (await refused(answer))[1].info.reason == "MODEL_LOADING"
    assert 'rhapsode_requests_rejected_total{model="tiny-faces",reason="model_loading"} 4.0' in await server.page()
    answers = [asyncio.ensure_future(answer) for answer in each_method(server)]
    await until_waiting(catalog, len(answers), "tiny-faces")
    ready = oip.ModelReadyRequest(name=FACES, version="2")
    assert not (await stub(server).ModelReady(ready, timeout=AMPLE)).ready, "who asks that does not wait"
    arrive(catalog, new)
    metadata, _, statistics, inferred = await asyncio.gather(*answers)
    assert metadata.versions == ["1", "2"]
    assert [each.version for each in statistics.model_stats] == ["2"]
    assert inferred.model_version == "2"
    assert (await stub(server).ModelReady(ready)).ready


async def test_who_has_not_is_told_when_to_come_back(server: Running, catalog: Catalog, versions: Versions) -> None:
    begin(catalog, versions.load("tiny-text"))
    for timeout in (None, USUAL / 2):
        code, told = await refused(ask(server, timeout))
        assert (code, told.info.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_LOADING")
        assert dict(told.info.metadata) == {"model": "tiny-text", "version": "2"}
        assert told.retry is not None
        assert 0 < told.retry.retry_delay.ToTimedelta().total_seconds() <= USUAL
    assert (await ask(server, model="tiny-text")).started.version == 1
    assert 'rhapsode_requests_rejected_total{model="tiny-text",reason="model_loading"} 2.0' in await server.page()


async def test_a_load_that_fails_ends_the_wait_at_once(server: Running, catalog: Catalog, versions: Versions) -> None:
    begin(catalog, versions.load("tiny-text"))
    answer = asyncio.ensure_future(ask(server))
    await until_waiting(catalog, 1)
    catalog.residents.failed(("tiny-text", 2), "it is broken")
    code, told = await refused(answer)
    assert (code, told.info.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_a_wait_in_vain_ends_before_the_deadline(
    catalog: Catalog, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "USUAL", 0.0)
    begin(catalog, versions.load("tiny-text"))
    began = asyncio.get_running_loop().time()
    with pytest.raises(ModelLoading):
        await catalog.arrived(NEW, LEAST + 2 * SPARE)
    assert asyncio.get_running_loop().time() - began >= LEAST
    assert catalog._arrivals.waiters("tiny-text") == 0


async def test_those_who_leave_wait_no_more(server: Running, catalog: Catalog, versions: Versions) -> None:
    begin(catalog, versions.load("tiny-text"))
    asked = text_pb2.StreamTextRequest(generation=text(4, model=NEW))
    calls = [server.text.StreamText(asked, timeout=AMPLE) for _ in range(2)]
    await until_waiting(catalog, 2)
    for left, call in enumerate(calls, start=1):
        call.cancel()
        await until_waiting(catalog, 2 - left)


async def test_no_more_than_so_many_wait(server: Running, catalog: Catalog, versions: Versions) -> None:
    new = versions.load("tiny-text")
    begin(catalog, new)
    answers = [asyncio.ensure_future(ask(server)) for _ in range(MOST_WAITERS)]
    await until_waiting(catalog, MOST_WAITERS)
    assert (await refused(ask(server)))[1].info.reason == "MODEL_LOADING"
    arrive(catalog, new)
    assert len(await asyncio.gather(*answers)) == MOST_WAITERS


async def test_a_stop_ends_all_waits(versions: Versions) -> None:
    async with running(versions.first, grace=0.1) as server:
        begin(server.server.catalog, versions.load("tiny-text"))
        answer = asyncio.ensure_future(ask(server))
        await until_waiting(server.server.catalog, 1)
        await server.server.stop()
        code, told = await refused(answer)
        assert (code, told.info.reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


async def test_a_model_that_the_client_may_not_use_is_not_there(catalog: Catalog, versions: Versions) -> None:
    begin(catalog, versions.load("tiny-text"))
    before = CALLER.set(Caller("nobody", models=frozenset(("tiny-faces",))))
    try:
        await catalog.arrived(NEW, AMPLE)
        with pytest.raises(ModelNotFound):
            catalog.find(NEW)
    finally:
        CALLER.reset(before)
    with pytest.raises(ModelLoading):
        catalog.find(NEW)


async def test_any_version_that_a_reference_comes_to_mean_ends_the_wait(catalog: Catalog, versions: Versions) -> None:
    await leave(catalog, catalog.residents.find("tiny-text"))
    old, new = versions.load("tiny-text", 1), versions.load("tiny-text", 2)
    begin(catalog, old)
    begin(catalog, new)
    waiting = asyncio.create_task(catalog.arrived("tiny-text", AMPLE))
    await until_waiting(catalog, 1)
    arrive(catalog, old)
    await waiting
    assert catalog.find("tiny-text").loaded is old


async def test_what_a_load_took_is_expected_of_the_next(versions: Versions) -> None:
    clock, residents = Clock(), Residents(versions.first.models.models)
    waits = Arrivals(residents, clock)
    residents.changed = waits.changed
    new = versions.load("tiny-text")

    def expected(seconds: float) -> None:
        with pytest.raises(ModelLoading) as caught:
            waits.check(NEW)
        assert caught.value.seconds == seconds

    begin_, key = residents.begin, ("tiny-text", 2)
    begin_(key, 1)
    expected(USUAL)
    clock.now += 2
    expected(USUAL - 2)
    clock.now += USUAL
    expected(LEAST)
    residents.failed(key, "it is broken")
    begin_(key, 1)
    expected(USUAL)  # a failure says nothing of how long a load takes
    clock.now += 20
    residents.ready(new)
    waits.check(NEW)
    residents.gone(residents.leave(key))
    begin_(key, 1)
    expected(20)


async def test_health_follows_what_is_there(server: Running, catalog: Catalog, versions: Versions) -> None:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)  # its stubs know no rpcs
    watch = aiter(stub.Watch(HealthCheckRequest(service="tiny-text")))

    async def told() -> int:
        return int((await anext(watch)).status)

    async def checked() -> int | grpc.StatusCode:
        try:
            return int((await stub.Check(HealthCheckRequest(service="tiny-text"))).status)
        except grpc.aio.AioRpcError as error:
            return error.code()

    assert await told() == HealthCheckResponse.SERVING
    new = versions.load("tiny-text")
    begin(catalog, new)
    arrive(catalog, new)
    await leave(catalog, catalog.residents.find("tiny-text@1"))
    assert await checked() == HealthCheckResponse.SERVING  # of whatever version
    await leave(catalog, new)
    assert await told() == HealthCheckResponse.SERVICE_UNKNOWN
    assert await checked() is grpc.StatusCode.NOT_FOUND
    begin(catalog, new)
    assert await told() == HealthCheckResponse.NOT_SERVING
    catalog.residents.failed(("tiny-text", 2), "it is broken")
    assert await told() == HealthCheckResponse.SERVICE_UNKNOWN
    begin(catalog, new)
    assert await told() == HealthCheckResponse.NOT_SERVING
    arrive(catalog, new)
    assert await told() == HealthCheckResponse.SERVING
    assert await checked() == HealthCheckResponse.SERVING
