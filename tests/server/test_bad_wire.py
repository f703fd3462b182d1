"""Requests that no client of ours can send: strings that are no text, numbers that are too long, spoilt bytes."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode.v1 import text_pb2
from rhapsode.v1.model_pb2 import GetModelRequest, Model
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from support import bundles, random_texts
from support.dice import Dice
from support.refusals import refusal
from support.server import process
from support.wire import NOT_UTF8, generation, lengthy, numbered

GENERATE, STREAM = "/rhapsode.v1.TextService/GenerateText", "/rhapsode.v1.TextService/StreamText"
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    models = tmp_path_factory.mktemp("models")
    bundles.write_all(models)
    with process(models, "--max-tokens", "64", "--max-prompt-tokens", "64") as server:
        with grpc.insecure_channel(server.address) as opened:
            yield opened
        assert server.stop() == 0


@pytest.fixture(scope="module")
def model(channel: grpc.Channel) -> Model:
    return ModelServiceStub(channel).GetModel(GetModelRequest(model="tiny-text")).model


def send(channel: grpc.Channel, data: bytes) -> text_pb2.GenerateTextResponse:
    call: Callable[..., bytes] = channel.unary_unary(GENERATE)
    return text_pb2.GenerateTextResponse.FromString(call(data, timeout=30))


def stream(channel: grpc.Channel, data: bytes) -> list[bytes]:
    call: Callable[..., Any] = channel.unary_stream(STREAM)
    return list(call(data, timeout=30))


def refused(channel: grpc.Channel, data: bytes) -> tuple[grpc.StatusCode, str, list[str], str | None]:
    """Code, reason, fields and message of a refusal, the same for both rpcs."""
    told = []
    for way in (send, stream):
        with pytest.raises(grpc.RpcError) as caught:
            way(channel, data)
        said = refusal(caught.value)
        told.append((caught.value.code(), said.info.reason, said.fields, caught.value.details()))
    assert told[0] == told[1]
    return told[0]


@pytest.mark.parametrize(
    "data",
    [
        generation(text=NOT_UTF8),
        generation(model=NOT_UTF8),
        generation(stopping=lengthy(2, b"ab") + lengthy(2, NOT_UTF8)),
        generation(stopping=lengthy(2, b"\xed\xa0\x80")),  # half of a surrogate pair
        generation(text=b"\xc0\x80"),  # NUL, longer than it need be
    ],
    ids=["prompt", "model", "stop sequence", "surrogate", "overlong"],
)
def test_what_is_not_utf8_is_refused_with_a_word_about_it(channel: grpc.Channel, data: bytes) -> None:
    code, reason, fields, message = refused(channel, data)
    assert (code, reason, fields) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", [])
    assert "not UTF-8" in str(message)


@pytest.mark.parametrize("number", [10**12, 2**64 - 1])
def test_a_number_of_tokens_beyond_its_32_bits(channel: grpc.Channel, number: int) -> None:
    code, reason, fields, message = refused(channel, generation(stopping=numbered(1, number)))
    assert (code, reason, fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        ["generation.stopping.max_tokens"],
    )
    assert "[1, 1000000]" in str(message)


def test_of_a_number_that_is_too_long_the_lower_32_bits_count(channel: grpc.Channel) -> None:
    """As protobuf says of every uint32; no server can see more of it than that."""
    reply = send(channel, generation(stopping=numbered(1, 2**32 + 9)))
    assert len(reply.candidates[0].token_ids) == 9


def test_a_number_that_does_not_end(channel: grpc.Channel) -> None:
    assert refused(channel, generation(stopping=b"\x08" + b"\xff" * 11))[1] == "MALFORMED_REQUEST"


def spoilt(data: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    """The bytes after changes, each of a kind, at a place, with a byte."""
    for kind, where, byte in changes:
        place = where % (len(data) + 1)
        head, rest = data[:place], data[place:]
        match kind:
            case 0:
                data = head + bytes([byte]) + rest[1:]
            case 1:
                data = head + bytes([byte]) + rest
            case 2:
                data = head + rest[1:]
            case 3:
                data = head
            case _:
                data = head + head[-byte:] + rest
    return data


NEW_FIELDS = text_pb2.TextGeneration(
    model="tiny-text", class_name="news", keep_best=text_pb2.KeepBestText(drawn=4, critic="tiny-judge", class_name="x")
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    new_fields=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
)
def test_spoilt_bytes_give_a_text_or_a_refusal(
    channel: grpc.Channel, model: Model, seed: int, new_fields: bool, changes: list[tuple[int, int, int]]
) -> None:
    asked = random_texts.text(model, Dice(seed))
    if new_fields:
        asked.MergeFrom(NEW_FIELDS)
    code, domain = outcome(channel, spoilt(text_pb2.StreamTextRequest(generation=asked).SerializeToString(), changes))
    assert code in {grpc.StatusCode.OK, *REFUSALS}
    assert domain == "rhapsode.v1"


def outcome(channel: grpc.Channel, data: bytes) -> tuple[grpc.StatusCode, str]:
    """How a stream ended, and who says so; nobody where it ended too early."""
    try:
        replies = stream(channel, data)
    except grpc.RpcError as error:
        return error.code(), refusal(error).info.domain
    finished = text_pb2.StreamTextResponse.FromString(replies[-1]).finished
    return grpc.StatusCode.OK, "rhapsode.v1" if finished else ""
