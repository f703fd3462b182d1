"""Small messages that would be large once they are read: nesting, and lists of empty messages."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from benchmarks.fuzz.methods import Method, methods
from benchmarks.fuzz.spoil import nested
from google.protobuf.descriptor import Descriptor

from rhapsode.v1.text_pb2 import GenerateTextResponse
from support import bundles
from support.refusals import refusal
from support.server import Running, load, running
from support.wire import lengthy, numbered, varint

SECONDS = 2.0  # of CPU, on a machine that may be slow
EMPTY = 1_000_000  # messages in a list, two bytes each


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    models: Path = tmp_path_factory.mktemp("models")
    bundles.stepper().write(models)
    async with running(load(models)) as started:
        yield started


def below(descriptor: Descriptor, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The types in a message type, which is in none of them itself."""
    assert descriptor.full_name not in path, path
    yield descriptor.full_name
    for field in descriptor.fields:
        if field.message_type is not None:
            yield from below(field.message_type, (*path, descriptor.full_name))


@pytest.mark.parametrize("method", [method for method in methods() if method.ours], ids=lambda method: method.name)
def test_a13_no_request_holds_itself_or_anything_at_all(method: Method) -> None:
    inside = set(below(method.request.DESCRIPTOR))  # type: ignore[arg-type]  # upb's own class, of the same shape
    assert all(name.startswith(("rhapsode.v1.", "inference.")) for name in inside)


ASKED = lengthy(1, b"tiny-text") + lengthy(5, numbered(1, 3))  # for three tokens
SPOILT = {
    "10,000 deep": nested(b"", 10_000),
    "groups in groups": b"\x0b" * 1_000_000,
    "groups in a field that there is not": (varint(100 << 3 | 3)) * 1_000_000,
    "a million empty messages": lengthy(1, ASKED + lengthy(4, lengthy(8, b"") * EMPTY)),
    "a list that says it has 4 GiB": b"\x0a\xff\xff\xff\xff\x0f",
}
HARMLESS = {  # the last one counts
    "300,000 models": lengthy(1, lengthy(1, b"tiny-text") * 300_000 + ASKED),
    "300,000 generations": lengthy(1, lengthy(1, b"tiny-text")) * 300_000 + lengthy(1, ASKED),
}


async def generate(server: Running, data: bytes) -> bytes:
    call: Any = server.channel.unary_unary("/rhapsode.v1.TextService/GenerateText")
    return bytes(await call(data))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("bomb", SPOILT)
async def test_a13_bombs_are_refused_for_little(server: Running, bomb: str) -> None:
    before = time.process_time()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate(server, SPOILT[bomb])
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal(caught.value).info.reason in ("INVALID_FIELD", "MALFORMED_REQUEST")
    assert time.process_time() - before < SECONDS


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("bomb", HARMLESS)
async def test_a12_of_what_stands_there_many_times_the_last_counts(server: Running, bomb: str) -> None:
    before = time.process_time()
    assert GenerateTextResponse.FromString(await generate(server, HARMLESS[bomb])).candidates
    assert time.process_time() - before < SECONDS
