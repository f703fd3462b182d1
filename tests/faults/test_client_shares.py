"""What one client may have at a time and in a time; others, and health, never notice."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from rhapsode.v1.model_pb2 import ListModelsRequest
from rhapsode.v1.text_pb2 import StreamTextRequest
from rhapsode_server.rpc.peers import place
from support import bundles
from support.access import bearer, entry, write
from support.raw_calls import code_raw
from support.refusals import Refusal, refusal
from support.requests import ENDLESS, text
from support.server import Loaded, Running, load, running

HEALTH = "/grpc.health.v1.Health/Check"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    return load(folder)


async def endless(server: Running, metadata: Sequence[tuple[str, str]] = ()) -> Any:
    """A stream that has begun."""
    call = server.text.StreamText(StreamTextRequest(generation=text(ENDLESS)), metadata=tuple(metadata))
    await call.read()
    return call


async def listed(server: Running, metadata: Sequence[tuple[str, str]] = ()) -> Refusal | None:
    """Why a small request is refused; None where it is not."""
    try:
        await server.model.ListModels(ListModelsRequest(), metadata=tuple(metadata))
    except grpc.aio.AioRpcError as error:
        status = error
    else:
        return None
    assert status.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-retry-pushback-ms" not in dict(status.trailing_metadata() or ())
    return refusal(status)


async def test_requests_at_a_time(models: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("busy", "a", concurrency=2), entry("other", "b"))
    async with running(models, access=access, client_concurrency=1, max_tokens=ENDLESS) as server:
        streams = [await endless(server, bearer("a")) for _ in range(2)]
        told = await listed(server, bearer("a"))
        assert told is not None
        assert (told.info.reason, told.info.metadata["limit"]) == ("CLIENT_CONCURRENCY", "2")
        assert told.retry is not None
        assert await listed(server, bearer("b")) is None
        assert await code_raw(server.channel, HEALTH, bearer("a"), b"") is grpc.StatusCode.OK
        streams[0].cancel()
        while await listed(server, bearer("a")):  # until the server has heard of it
            await asyncio.sleep(0)
        streams[1].cancel()
        while len(server.server._gate.quotas):
            await asyncio.sleep(0)
        page = await server.page()
    assert 'rhapsode_requests_rejected_total{model="_unknown",reason="client_concurrency"}' in page


async def test_requests_whose_message_never_comes_count(models: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("silent", "a", concurrency=2), entry("other", "b"))
    async with running(models, access=access) as server:
        silent: Any = server.channel.stream_stream("/rhapsode.v1.TextService/GenerateText")
        calls = [silent(metadata=bearer("a"), timeout=timeout) for timeout in (60, 2)]
        while repr(server.server._gate.quotas) != "Quotas(1 clients, 2 open)":
            await asyncio.sleep(0)
        told = await listed(server, bearer("a"))
        assert told is not None
        assert told.info.reason == "CLIENT_CONCURRENCY"
        assert await silent(metadata=bearer("a")).code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # without its message
        assert await listed(server, bearer("b")) is None
        calls[0].cancel()
        while len(server.server._gate.quotas):  # the other one's deadline passes
            await asyncio.sleep(0)
        assert await listed(server, bearer("a")) is None


async def test_a_client_with_one_request_at_a_time_asks_again_at_once(models: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("one", "a", concurrency=1))
    async with running(models, access=access) as server:
        assert [await listed(server, bearer("a")) for _ in range(300)] == [None] * 300


async def test_requests_in_a_time(models: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("busy", "a", rate=0.01, burst=3), entry("other", "b"))
    async with running(models, access=access) as server:
        answers = [await listed(server, bearer("a")) for _ in range(4)]
        assert answers[:3] == [None] * 3
        told = answers[3]
        assert told is not None
        assert told.info.reason == "QUOTA_EXCEEDED"
        assert told.retry is not None
        assert 90 <= told.retry.retry_delay.seconds <= 100
        assert await listed(server, bearer("b")) is None
        assert 'reason="quota_exceeded"' in await server.page()


@pytest.mark.parametrize("who", [(), bearer("a")], ids=["a host", "a token"])
async def test_however_a_request_ends_it_is_given_back(
    models: Loaded, tmp_path: Path, who: Sequence[tuple[str, str]]
) -> None:
    access = write(tmp_path / "access.toml", entry("one", "a")) if who else ""
    async with running(models, access=access, client_concurrency=1, max_tokens=ENDLESS) as server:
        call = await endless(server, who)
        assert (await listed(server, who)) is not None
        call.cancel()
        while await listed(server, who):
            await asyncio.sleep(0)
        for request in (b"\xff", b""):
            path = "/rhapsode.v1.TextService/StreamText"
            assert await code_raw(server.channel, path, who, request) is grpc.StatusCode.INVALID_ARGUMENT
        late = server.text.StreamText(StreamTextRequest(generation=text(ENDLESS)), timeout=0.2, metadata=tuple(who))
        assert await late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        while await listed(server, who):  # the deadline of the one before is the client's own
            await asyncio.sleep(0)
        assert repr(server.server._gate.quotas) == "Quotas(0 clients, 0 open)"


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:192.0.2.7:4711", "host 192.0.2.7"),
        ("ipv6:%5B2001:db8:0:1:aaaa::1%5D:4711", "host 2001:db8:0:1::/64"),
        ("ipv6:[2001:db8:0:1:bbbb::2]:4711", "host 2001:db8:0:1::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:4711", "host 192.0.2.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4711", "host fe80::/64"),
        ("unix:", "socket"),
        ("unix:/run/rhapsode.sock", "socket"),
        ("unix-abstract:x", "socket"),
        ("ipv4:nonsense", "host "),
    ],
)
def test_a_client_without_a_name_is_where_it_calls_from(peer: str, client: str) -> None:
    assert place(peer) == client
