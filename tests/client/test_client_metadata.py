"""What a caller adds to the metadata of calls reaches the server, by every client and every attempt."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.scripted import Break, Script, serving, whole
from rhapsode_client import AsyncClient, ChannelSettings, Client
from support import bundles
from support.server import Process, process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    models = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    with process(models) as started:
        yield started


class Trace:
    """A caller's trace, that counts how often it was asked for."""

    def __init__(self) -> None:
        self.trace_id = secrets.token_hex(16)
        self.asked = 0

    def __call__(self) -> list[tuple[str, str | bytes]]:
        self.asked += 1
        return [("traceparent", f"00-{self.trace_id}-{secrets.token_hex(8)}-01")]


def traces_of(server: Process, calls: int) -> list[tuple[str, str]]:
    """The method and the trace of the next lines of rpcs."""
    lines = [server.until_logged("rpc") for _ in range(calls)]
    return [(line["grpc_method"].rpartition("/")[2], line["trace_id"]) for line in lines]


def test_a_trace_goes_with_calls_and_streams(server: Process) -> None:
    trace = Trace()
    with Client(server.address, ChannelSettings(metadata=trace)) as client:
        assert client.models()
        assert list(client.stream_text("tiny-text", "a", max_tokens=3))
    assert traces_of(server, 2) == [("ListModels", trace.trace_id), ("StreamText", trace.trace_id)]


async def test_a_trace_goes_with_calls_and_streams_of_asyncio(server: Process) -> None:
    trace = Trace()
    async with AsyncClient(server.address, ChannelSettings(metadata=trace)) as client:
        assert await client.models()
        assert [chunk async for chunk in client.stream_text("tiny-text", "a", max_tokens=3)]
    assert traces_of(server, 2) == [("ListModels", trace.trace_id), ("StreamText", trace.trace_id)]


def test_each_attempt_of_a_stream_asks_anew(socket: Path, eager: ChannelSettings) -> None:
    trace = Trace()
    settings = ChannelSettings(retry=eager.retry, resume=eager.resume, metadata=trace)
    with serving(Script(breaks=[Break(3), Break(2)]), socket) as address, Client(address, settings) as client:
        text = "".join(chunk.text for chunk in client.stream_text("m", "p", seed=1, max_tokens=9))
    assert (text, trace.asked) == (whole(1, 9), 3)
