"""What gRPC is told of servers: which there are, which may be left, which calls may be sent again."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor

from client.scripted import Break, Script, serving
from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode_client import AsyncClient, ChannelSettings, Client, ConnectionLost, InvalidRequest, RetryPolicy
from rhapsode_client.addresses import Address, Target, target_of
from rhapsode_client.channel import RETRIED, service_config

# Unary methods that retries are not for: administration, which lasts, and which a person waits for.
CHANGING = frozenset(("LoadModel", "UnloadModel", "SetModelAlias"))
CANCELLED = Break(0, grpc.StatusCode.CANCELLED, "")


def unary_methods(file: FileDescriptor) -> dict[str, set[str]]:
    services = file.services_by_name.values()
    return {
        service.full_name: {method.name for method in service.methods if not method.server_streaming} - CHANGING
        for service in services
    }


def test_every_unary_method_is_retried() -> None:
    files = (text_pb2.DESCRIPTOR, image_pb2.DESCRIPTOR, model_pb2.DESCRIPTOR)
    expected = {name: methods for file in files for name, methods in unary_methods(file).items()}
    assert {name: set(methods) for name, methods in RETRIED.items()} == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:50051", Target("localhost:50051", several=False)),
        ("unix:/run/s", Target("unix:/run/s", several=False)),
        ("unix:/run/a,b", Target("unix:/run/a,b", several=False)),
        (["unix-abstract:a,b"], Target("unix-abstract:a,b", several=False)),
        ("ipv4:10.0.0.1:1", Target("ipv4:10.0.0.1:1", several=False)),
        ("dns:///rhapsode:50051", Target("dns:///rhapsode:50051", several=True)),
        ("ipv4:10.0.0.1:1,10.0.0.2:1", Target("ipv4:10.0.0.1:1,10.0.0.2:1", several=True)),
        ("10.0.0.1:1, 10.0.0.2:2", Target("ipv4:10.0.0.1:1,10.0.0.2:2", several=True)),
        (["10.0.0.1:1", "10.0.0.2:2"], Target("ipv4:10.0.0.1:1,10.0.0.2:2", several=True)),
        (("[::1]:1", "[::2]:2"), Target("ipv6:[::1]:1,[::2]:2", several=True)),
        (["server:1"], Target("server:1", several=False)),
    ],
)
def test_servers_are_named(address: Address, expected: Target) -> None:
    assert target_of(address) == expected


@pytest.mark.parametrize(
    "address", [[], "one:1,two:1", "10.0.0.1:1,[::1]:1", "10.0.0.1:1,", "10.0.0.1,10.0.0.2", ["::1:5", "::2:5"]]
)
def test_what_names_no_servers_is_refused(address: Address) -> None:
    with pytest.raises(InvalidRequest, match="dns:///name:port") as caught:
        Client(address)
    assert caught.value.field_violations[0].field == "address"


def test_health_is_asked_of_several_only_and_where_it_is_wanted() -> None:
    assert "healthCheckConfig" not in json.loads(service_config(RetryPolicy(), None))
    assert json.loads(service_config(RetryPolicy(), "text"))["healthCheckConfig"] == {"serviceName": "text"}


def test_a_call_that_a_stopping_server_cancels_is_made_again(socket: Path, eager: ChannelSettings) -> None:
    script = Script([CANCELLED])
    with serving(script, socket) as address, Client(address, eager) as client:
        client.tokenize("m", ["a"])
    assert len(script.requests) == 2


def test_without_retries_it_fails(socket: Path) -> None:
    script = Script([CANCELLED])
    once = ChannelSettings(retry=RetryPolicy(attempts=1))
    with serving(script, socket) as address, Client(address, once) as client, pytest.raises(ConnectionLost):
        client.tokenize("m", ["a"])


async def test_a_call_that_its_own_caller_cancels_is_not(socket: Path) -> None:
    script = Script([Break(0, None)])
    with serving(script, socket) as address:
        async with AsyncClient(address) as client:
            call = asyncio.create_task(client.tokenize("m", ["a"]))
            await asyncio.to_thread(script.hanging.wait)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            assert await asyncio.to_thread(script.ended.wait, 10)
            await client.tokenize("m", ["a"])
    assert len(script.requests) == 2
