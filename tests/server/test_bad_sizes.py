"""Requests of ten megabytes are refused before they cost memory or time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from benchmarks.cost import cpu_seconds

from rhapsode.v1 import text_pb2
from rhapsode.v1.text_pb2 import Stopping, TextGeneration, TokenIds
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support import bundles
from support.refusals import refusal
from support.requests import text
from support.server import Process, process

MEGABYTE = 1_000_000
SIZE = 10 * MEGABYTE
MEMORY = 100 * MEGABYTE  # 50 of which gRPC and protobuf take for ten megabytes of text
MEMORY_OF_IDS = 200 * MEGABYTE  # ten million ids are 40 MB as numbers, and protobuf lets a list grow by doubling it
SECONDS = 1.0  # of CPU, on a machine that may be slow
PROMPT = text(text="a" * SIZE)
IDS = text(token_ids=TokenIds(ids=[1] * SIZE))
RECEIVED = text(received_token_ids=[1] * SIZE)
STOPS = text(stopping=Stopping(max_tokens=9, stop_sequences=["ab" * 500] * 10_000))
STOP = text(stopping=Stopping(max_tokens=9, stop_sequences=["a" * SIZE]))
NAME = text(model="a" * SIZE)
CLASS = text(class_name="a" * SIZE)
LARGE = {
    "generation.text": PROMPT,
    "generation.token_ids.ids": IDS,
    "generation.received_token_ids": RECEIVED,
    "generation.stopping.stop_sequences": STOPS,
    "generation.stopping.stop_sequences[0]": STOP,
    "generation.model": NAME,
    "generation.class_name": CLASS,
}


def serving(folder: Path, *flags: str) -> Iterator[Process]:
    bundles.stepper().write(folder)
    bundles.stepper("with-unknown", unknown_token=",").write(folder)
    with process(folder, *flags) as server:
        yield server


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that takes messages of 16 MB."""
    yield from serving(tmp_path_factory.mktemp("models"), "--message-bytes", str(16 * MEGABYTE))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that takes what it takes by default, 4 MiB."""
    yield from serving(tmp_path_factory.mktemp("models"))


def generate(server: Process, asked: TextGeneration) -> text_pb2.GenerateTextResponse:
    with grpc.insecure_channel(server.address) as channel:
        return TextServiceStub(channel).GenerateText(text_pb2.GenerateTextRequest(generation=asked), timeout=60)


def stream(server: Process, asked: TextGeneration) -> list[text_pb2.StreamTextResponse]:
    with grpc.insecure_channel(server.address) as channel:
        return list(TextServiceStub(channel).StreamText(text_pb2.StreamTextRequest(generation=asked), timeout=60))


def forget_peak(server: Process) -> int:
    """The bytes of memory that the server has now, from which its peak is counted on (proc_pid_clear_refs(5))."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5", encoding="ascii")
    return peak(server)


def peak(server: Process) -> int:
    """The most bytes of memory that the server has had since its peak was forgotten."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def refused(
    server: Process, asked: TextGeneration, way: Callable[[Process, TextGeneration], object], most: int = MEMORY
) -> grpc.RpcError:
    """The refusal, which cost little."""
    generate(server, text(3))  # what a first request costs is not counted
    memory, seconds = forget_peak(server), cpu_seconds(server.process.pid)
    with pytest.raises(grpc.RpcError) as caught:
        way(server, asked)
    assert cpu_seconds(server.process.pid) - seconds < SECONDS
    assert peak(server) - memory < most
    assert len(generate(server, text(3)).candidates[0].token_ids) == 3
    return caught.value


@pytest.mark.parametrize("way", [generate, stream])
@pytest.mark.parametrize("field", LARGE)
def test_ten_megabytes_within_the_limit_of_a_message(
    roomy: Process, field: str, way: Callable[[Process, TextGeneration], object]
) -> None:
    error = refused(roomy, LARGE[field], way, MEMORY_OF_IDS if "ids" in field else MEMORY)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal(error).fields == [field]
    assert len(error.details() or "") < 200


def test_what_has_been_refused_is_forgotten(roomy: Process) -> None:
    for _ in range(2):
        refused(roomy, IDS, generate, MEMORY_OF_IDS)
    memory = peak(roomy)
    for _ in range(8):
        refused(roomy, IDS, generate, MEMORY_OF_IDS)
    assert peak(roomy) - memory < MEMORY


@pytest.mark.parametrize("way", [generate, stream])
def test_ten_megabytes_over_the_limit_of_a_message(
    plain: Process, way: Callable[[Process, TextGeneration], object]
) -> None:
    error = refused(plain, PROMPT, way)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(error.details())


@pytest.mark.parametrize("model", ["tiny-text", "with-unknown"])
@pytest.mark.parametrize("character", ["a", "Ω"])
def test_a_text_at_its_bound_is_not_cut_into_more_tokens_than_a_prompt_has(
    roomy: Process, model: str, character: str
) -> None:
    longest = text(model=model, text=character * (1024 * 1024 // len(character.encode())))
    error = refused(roomy, longest, generate)
    assert refusal(error).fields == ["generation.text"]
