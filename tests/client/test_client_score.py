"""Scores through the library: to messages and back, from a real server, and over a server that falters."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from client.scripted import Break, Script, serving
from rhapsode.v1 import text_pb2
from rhapsode_client import (
    AsyncClient,
    ChannelSettings,
    Client,
    InvalidRequest,
    UnexpectedReply,
    UnknownToken,
    Unsupported,
)
from rhapsode_client.convert import score
from rhapsode_client.types import PositionLogprobs, Prompt, TokenLogprob


def test_every_input_reaches_its_field() -> None:
    assert score.request("m@2", ["ab", (1, 2)], 3) == text_pb2.ScoreTextRequest(
        model="m@2",
        inputs=[
            text_pb2.ScoreInput(text="ab"),
            text_pb2.ScoreInput(token_ids=text_pb2.TokenIds(ids=[1, 2])),
        ],
        top_logprobs=3,
    )


@pytest.mark.parametrize(
    ("inputs", "top", "field"),
    [
        ("one text", 0, "inputs"),
        (["a", "\ud800"], 0, "inputs[1]"),
        (["a", [1, -1]], 0, "inputs[1][1]"),
        (["a"], -1, "top_logprobs"),
    ],
)
def test_what_a_field_cannot_carry_is_named(inputs: Sequence[Prompt], top: int, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        score.request("m", inputs, top)
    assert caught.value.field_violations[0].field == field


def test_a_reply_becomes_values() -> None:
    top = text_pb2.TokenLogprob(token_id=9, logprob=-0.5)
    message = text_pb2.TextScore(
        token_ids=[4, 5],
        logprobs=[text_pb2.PositionLogprobs(logprob=-1.0, top=[top])],
        total_logprob=-1.0,
        scored_token_count=1,
        scored_character_count=3,
        bits_per_character=0.25,
        perplexity=2.0,
    )
    result = score.result(text_pb2.ScoreTextResponse(model="m", version=2, fingerprint="f", scores=[message]))
    (one,) = result.scores
    assert (result.model, result.version, result.fingerprint) == ("m", 2, "f")
    assert (one.token_ids, one.logprobs) == ((4, 5), (PositionLogprobs(-1.0, (TokenLogprob(9, -0.5),)),))
    assert (one.total_logprob, one.bits_per_character, one.perplexity) == (-1.0, 0.25, 2.0)
    assert (one.scored_token_count, one.scored_character_count) == (1, 3)
    with pytest.raises(UnexpectedReply):
        score.result(text_pb2.ScoreTextResponse())


def test_a_generated_text_scores_as_it_was_generated(address: str) -> None:
    with Client(address) as client:
        (made,) = client.generate_text("tiny-text", seed=9, max_tokens=30, logprobs=2).candidates
        result = client.score("tiny-text", [made.text, made.token_ids, "the end"], top_logprobs=2)
    assert result.scores[0] == result.scores[1]
    assert result.scores[0].logprobs == made.logprobs
    assert [one.scored_token_count for one in result.scores] == [30, 30, 7]


async def test_the_asynchronous_client_gives_the_same(address: str) -> None:
    with Client(address) as client:
        expected = client.score("tiny-text", ["the end", "a"], top_logprobs=1)
    async with AsyncClient(address) as client:
        assert await client.score("tiny-text", ["the end", "a"], top_logprobs=1) == expected


def test_errors(address: str) -> None:
    with Client(address) as client:
        with pytest.raises(UnknownToken) as unknown:
            client.score("tiny-text", ["a", "Ω"])
        assert unknown.value.field_violations[0].field == "inputs[1].text"
        with pytest.raises(InvalidRequest, match="inputs must have 1 to 64"):
            client.score("tiny-text", [])
        with pytest.raises(InvalidRequest, match="at most 32 tokens"):
            client.score("tiny-text", ["a" * 33])
        with pytest.raises(Unsupported):
            client.score("tiny-faces", ["a"])


def test_it_is_retried_by_grpc(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(0), Break(0)])
    with serving(script, socket) as address, Client(address, eager) as client:
        assert client.score("m", ["ab"]).scores[0].scored_character_count == 2
    assert len(script.requests) == 3
