"""The layer around every rpc: ids, log lines, masked failures, cancellations of both kinds."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.model_pb2 import ListModelsRequest, ListModelsResponse
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_server.errors import QueueFull
from rhapsode_server.rpc.models import ModelService
from support.refusals import refusal
from support.requests import ENDLESS, generate_text, images, text
from support.server import Loaded, LogLine, Running, running


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, max_tokens=ENDLESS) as started:
        yield started


async def access_line(server: Running) -> LogLine:
    """The line of the last rpc; it is written after the client has its answer."""
    while not (lines := [line for line in server.log_lines() if line["msg"] == "rpc"]):
        await asyncio.sleep(0)
    return lines[-1]


async def test_a_request_id_is_given_back_and_logged(server: Running) -> None:
    call = server.model.ListModels(ListModelsRequest(), metadata=(("x-request-id", "abc-1"),))
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "abc-1"
    assert (await access_line(server))["request_id"] == "abc-1"


async def test_a_request_without_an_id_gets_one(server: Running) -> None:
    first, second = server.model.ListModels(ListModelsRequest()), server.model.ListModels(ListModelsRequest())
    ids = {dict(await call.trailing_metadata())["x-request-id"] for call in (first, second)}
    assert len(ids) == 2
    await asyncio.gather(first, second)


async def test_a_stream_says_its_id_before_its_first_message(server: Running) -> None:
    call = server.text.StreamText(text_pb2.StreamTextRequest(generation=text(3)), metadata=(("x-request-id", "abc-2"),))
    assert dict(await call.initial_metadata())["x-request-id"] == "abc-2"
    assert [message async for message in call]


async def test_an_access_line_says_what_was_done_and_no_text(server: Running) -> None:
    await generate_text(server, text(12, text="the prompt"))
    line = await access_line(server)
    assert line["grpc_method"] == "rhapsode.v1.TextService/GenerateText"
    assert (line["grpc_code"], line["model"], line["items"], line["level"]) == ("OK", "tiny-text", 12, "info")
    assert line["duration_ms"] > 0
    assert line["queue_ms"] >= 0
    assert line["peer"].startswith("unix:")
    assert "the prompt" not in server.log.getvalue()


async def test_a_request_id_cannot_forge_a_line(server: Running) -> None:
    forged = 'x","level":"critical'
    await server.model.ListModels(ListModelsRequest(), metadata=(("x-request-id", forged),))
    assert (await access_line(server))["request_id"] == forged
    assert all(json.loads(line)["level"] == "info" for line in server.log.getvalue().splitlines())


async def fail(*_: Any) -> None:
    raise ValueError("/srv/models/key=secret")


async def cancel_inside(*_: Any) -> None:
    task = asyncio.create_task(asyncio.Event().wait())
    task.cancel()
    await task


async def test_an_unexpected_failure_is_masked_and_logged(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelService, "ListModels", fail)
    async with running(loaded) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.model.ListModels(ListModelsRequest())
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "secret" not in f"{caught.value.details()} {refusal(caught.value)}"
        (failure,) = [line for line in server.log_lines() if line["msg"] == "failed"]
        assert "key=secret" in failure["exception"]
        assert failure["request_id"] == (await access_line(server))["request_id"]
        assert (await generate_text(server, text(3))).candidates


async def test_a_cancellation_from_inside_still_gives_a_status(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelService, "ListModels", cancel_inside)
    async with running(loaded) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.model.ListModels(ListModelsRequest(), timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_refusal_is_retried_by_the_clients_own_policy(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[ListModelsResponse | QueueFull] = [ListModelsResponse(), QueueFull("the queue is full")]

    async def refuse_once(*_: Any) -> ListModelsResponse:
        answer = answers.pop()
        if isinstance(answer, QueueFull):
            raise answer
        return answer

    monkeypatch.setattr(ModelService, "ListModels", refuse_once)
    policy = {"maxAttempts": 2, "initialBackoff": "60s", "maxBackoff": "60s", "backoffMultiplier": 1}
    retry = {"name": [{}], "retryPolicy": policy | {"retryableStatusCodes": ["UNAVAILABLE"]}}
    options = [("grpc.service_config", json.dumps({"methodConfig": [retry]}))]
    async with running(loaded) as server, grpc.aio.insecure_channel(server.address, options) as channel:
        await ModelServiceStub(channel).ListModels(ListModelsRequest(), timeout=10)  # the pushback, not a minute
    assert not answers


async def test_a_refusal_has_its_id_in_the_trailers(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, text(0))
    assert dict(caught.value.trailing_metadata())["x-request-id"] == (await access_line(server))["request_id"]
    assert not caught.value.initial_metadata()


async def test_a_client_that_leaves_is_an_ordinary_event(server: Running) -> None:
    call = server.text.StreamText(text_pb2.StreamTextRequest(generation=text(ENDLESS)))
    await call.read()
    call.cancel()
    assert (await access_line(server))["grpc_code"] == "Canceled"
    assert not [line for line in server.log_lines() if line["msg"] == "failed"]


async def test_a_client_that_leaves_while_a_message_waits_for_it_is_an_ordinary_event(server: Running) -> None:
    asked = images(100_000, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)  # more than gRPC takes for a client unread
    call = server.image.StreamImages(image_pb2.StreamImagesRequest(generation=asked))
    await call.read()
    while not stalled(await server.page()):
        await asyncio.sleep(0)
    call.cancel()
    assert (await access_line(server))["grpc_code"] == "Canceled"
    assert not [line for line in server.log_lines() if line["msg"] == "failed"]


def stalled(page: str) -> float:
    """Streams whose readers were too slow, of all models."""
    return sum(
        float(line.split()[-1]) for line in page.splitlines() if line.startswith("rhapsode_streams_stalled_total{")
    )


async def test_a_method_that_there_is_not(server: Running) -> None:
    call: Any = server.channel.unary_unary("/rhapsode.v1.TextService/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
