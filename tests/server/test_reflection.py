"""Reflection, v1 and v1alpha: all services are listed, and everything that is listed can be described."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from support.refusals import refusal
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "inference.GRPCInferenceService",
    "rhapsode.v1.ImageService",
    "rhapsode.v1.ModelService",
    "rhapsode.v1.TextService",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


async def ask(server: Running, version: str, *requests: ServerReflectionRequest) -> Sequence[ServerReflectionResponse]:
    method: Any = server.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        ServerReflectionRequest.SerializeToString,
        ServerReflectionResponse.FromString,
    )
    return [answer async for answer in method(iter(requests))]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_every_service_is_listed(server: Running, version: str) -> None:
    (answer,) = await ask(server, version, ServerReflectionRequest(list_services=""))
    assert [service.name for service in answer.list_services_response.service] == SERVICES


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_can_be_described(server: Running, version: str, service: str) -> None:
    (answer,) = await ask(server, version, ServerReflectionRequest(file_containing_symbol=service))
    pool = DescriptorPool()
    for file in reversed(answer.file_descriptor_response.file_descriptor_proto):
        pool.Add(FileDescriptorProto.FromString(file))
    assert pool.FindServiceByName(service).methods


async def test_what_is_not_there_is_said_to_be_missing(server: Running) -> None:
    answers = await ask(
        server,
        "v1",
        ServerReflectionRequest(file_containing_symbol="rhapsode.v1.Nothing"),
        ServerReflectionRequest(list_services=""),
    )
    assert answers[0].HasField("error_response")
    assert answers[1].HasField("list_services_response")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_a_question_that_is_no_message_is_refused(server: Running, version: str) -> None:
    method: Any = server.channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")
    sound = ServerReflectionRequest(list_services="").SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        _ = [answer async for answer in method(iter([sound, b"\xff\xff"]))]
    assert refusal(caught.value).info.reason == "MALFORMED_REQUEST"
    assert "failed" not in server.log.getvalue()
