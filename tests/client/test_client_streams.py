"""Streams of text over real gRPC: breaks on purpose, and what the reader gets all the same."""

from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from client.scripted import DRAWN_SEED, Break, Script, letters, serving, token, whole
from rhapsode.v1 import text_pb2
from rhapsode_client import (
    ChannelSettings,
    Client,
    ConnectionLost,
    DeadlineExceeded,
    FinishReason,
    ResumeMismatch,
    RetryPolicy,
    RhapsodeError,
    UnexpectedReply,
)
from rhapsode_client.errors import Cancelled

PUSHBACK_NEVER = (("grpc-retry-pushback-ms", "-1"),)


def text_requests(script: Script) -> list[text_pb2.TextGeneration]:
    return [r.generation for r in script.requests if isinstance(r, text_pb2.StreamTextRequest)]


@pytest.mark.parametrize("after", [0, 1, 2, 17, 21])
def test_text_goes_on_exactly_where_it_broke(socket: Path, eager: ChannelSettings, after: int) -> None:
    script = Script(breaks=[Break(after)])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", "p", max_tokens=20, echo=True)
        chunks = list(stream)
    assert "".join(chunk.text for chunk in chunks) == "p" + whole(DRAWN_SEED, 20)
    generated = [chunk for chunk in chunks if not chunk.echoed]
    assert [chunk.first_token_index for chunk in generated] == list(range(20))
    first, second = text_requests(script)
    assert not first.HasField("seed")
    assert second.seed == (DRAWN_SEED if after else 0)
    assert list(second.received_token_ids) == [token(DRAWN_SEED, 0, i) for i in range(max(after - 1, 0))]
    assert stream.finished[0].usage.generated_token_count == 20
    assert stream.finished[0].reason is FinishReason.MAX_TOKENS


def test_text_breaks_again_and_again(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3), Break(0), Break(4), Break(1)])
    with serving(script, socket) as address, Client(address, eager) as client:
        text = "".join(chunk.text for chunk in client.stream_text("m", seed=5, max_tokens=12))
    assert text == whole(5, 12)
    assert len(script.requests) == 5


def test_attempts_that_bring_nothing_are_bounded(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2), *[Break(1)] * 9])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", seed=5, max_tokens=40)
        with pytest.raises(ConnectionLost, match="scripted"):
            list(stream)
        assert list(stream) == []
    assert len(script.requests) == eager.resume.attempts


def test_a_stream_that_gets_on_may_break_more_often(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2), Break(0)] * 12)
    with serving(script, socket) as address, Client(address, eager) as client:
        text = "".join(chunk.text for chunk in client.stream_text("m", seed=5, max_tokens=20))
    assert text == whole(5, 20)
    assert len(script.requests) == 25


def test_what_is_repeated_is_no_progress(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3)] * 9)
    with serving(script, socket) as address, Client(address, eager) as client, pytest.raises(ConnectionLost):
        list(client.stream_text("m", seed=5, max_tokens=20, candidate_count=2))
    assert len(script.requests) == eager.resume.attempts


def test_even_a_stream_that_gets_on_is_not_carried_from_server_to_server_for_ever(socket: Path) -> None:
    policy = RetryPolicy(attempts=2, initial_backoff=0.001, max_backoff=0.002, renewals=3)
    script = Script(breaks=[Break(2)] * 9)
    with serving(script, socket) as address, Client(address, ChannelSettings(resume=policy)) as client:
        stream = client.stream_text("m", seed=5, max_tokens=40)
        with pytest.raises(ConnectionLost, match="scripted"):
            list(stream)
    assert len(script.requests) == 5


def test_a_break_at_the_very_end_is_nobodys_concern(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(99)])
    with serving(script, socket) as address, Client(address, eager) as client:
        assert "".join(chunk.text for chunk in client.stream_text("m", seed=5, max_tokens=6)) == whole(5, 6)
    assert len(script.requests) == 1


def test_received_tokens_of_the_callers_own_stay_in_front(socket: Path, eager: ChannelSettings) -> None:
    known = [token(5, 0, index) for index in range(4)]
    script = Script(breaks=[Break(3)])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", seed=5, max_tokens=10, received_token_ids=known)
        text = "".join(chunk.text for chunk in stream)
    assert letters(known) + text == whole(5, 10)
    assert stream.finished[0].usage.generated_token_count == 6


@pytest.mark.parametrize("after", [1, 5, 8])
def test_several_candidates_start_over_without_repeating(socket: Path, eager: ChannelSettings, after: int) -> None:
    script = Script(breaks=[Break(after)])
    texts = ["", "", ""]
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", "p", max_tokens=8, candidate_count=3, echo=True)
        for chunk in stream:
            texts[chunk.candidate] += chunk.text
    assert texts == ["p" + whole(DRAWN_SEED, 8, candidate) for candidate in range(3)]
    assert [end.usage.generated_token_count for end in stream.finished] == [8, 8, 8]
    assert text_requests(script)[1].seed == DRAWN_SEED


def test_another_fingerprint_is_said(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3)], fingerprints=["f1", "f2"])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", seed=5, max_tokens=9)
        with pytest.raises(ResumeMismatch, match="after 2 tokens"):
            list(stream)


def test_another_fingerprint_before_any_token_does_no_harm(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(1)], fingerprints=["f1", "f2"])
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", seed=5, max_tokens=9)
        assert "".join(chunk.text for chunk in stream) == whole(5, 9)
        assert stream.started.fingerprint == "f2"


@pytest.mark.parametrize(
    "broken",
    [
        Break(2, grpc.StatusCode.INTERNAL),
        Break(2, grpc.StatusCode.INVALID_ARGUMENT),
        Break(2, metadata=PUSHBACK_NEVER),
    ],
)
def test_what_may_not_be_retried_is_not(socket: Path, eager: ChannelSettings, broken: Break) -> None:
    script = Script(breaks=[broken])
    with serving(script, socket) as address, Client(address, eager) as client:
        with pytest.raises(RhapsodeError) as caught:
            list(client.stream_text("m", seed=5))
        assert not caught.value.retryable
    assert len(script.requests) == 1


def test_the_deadline_covers_all_attempts(socket: Path) -> None:
    patient = ChannelSettings(resume=RetryPolicy(attempts=3, initial_backoff=60.0, max_backoff=60.0))
    script = Script(breaks=[Break(2)])
    with serving(script, socket) as address, Client(address, patient) as client, pytest.raises(ConnectionLost):
        list(client.stream_text("m", seed=5, timeout=30))
    assert len(script.requests) == 1


def test_a_deadline_that_passes(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2, code=None)])
    with serving(script, socket) as address, Client(address, eager) as client, pytest.raises(DeadlineExceeded):
        list(client.stream_text("m", seed=5, timeout=0.2))


def test_closing_cancels_at_the_server(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2, code=None)])
    with serving(script, socket) as address, Client(address, eager) as client:
        with client.stream_text("m", seed=5) as stream:
            assert next(stream).text == whole(5, 1)
            assert script.hanging.wait(10)
        assert script.ended.wait(10)
        assert list(stream) == []
    assert len(script.requests) == 1


def test_nothing_starts_after_closing(socket: Path, eager: ChannelSettings) -> None:
    script = Script()
    with serving(script, socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m")
        stream.close()
        with pytest.raises(Cancelled):
            _ = stream.started
    assert script.requests == []


def test_a_server_that_dies_and_comes_back(socket: Path, eager: ChannelSettings) -> None:
    first, second = Script(breaks=[Break(6, code=None)]), Script()
    with ExitStack() as old, serving(second, socket.with_name("t")) as _:
        address = old.enter_context(serving(first, socket))
        with Client(address, ChannelSettings()) as client:
            stream = client.stream_text("m", seed=9, max_tokens=15)
            head = [next(stream).text for _ in range(5)]
            assert first.hanging.wait(10)
            old.close()
            with serving(second, socket):
                tail = [chunk.text for chunk in stream]
    assert "".join(head + tail) == whole(9, 15)
    assert len(text_requests(second)[0].received_token_ids) == 5


def test_a_stream_that_ends_too_early_is_not_passed_off_as_whole(socket: Path, eager: ChannelSettings) -> None:
    class Short(Script):
        def begin(self, request: object) -> tuple[Break | None, str]:
            assert isinstance(request, text_pb2.StreamTextRequest)
            request.generation.candidate_count = 1
            return super().begin(request)

    with serving(Short(), socket) as address, Client(address, eager) as client:
        stream = client.stream_text("m", max_tokens=3, candidate_count=2)
        with pytest.raises(UnexpectedReply):
            list(stream)


def test_unary_calls_are_retried_by_grpc(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(0), Break(0)])
    with serving(script, socket) as address, Client(address, eager) as client:
        result = client.generate_text("m", seed=3, max_tokens=5)
    assert result.text == whole(3, 5)
    assert result.candidates[0].finished.reason is FinishReason.MAX_TOKENS
    assert len(script.requests) == 3
