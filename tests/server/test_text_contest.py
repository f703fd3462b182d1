"""keep_best of texts over a real socket: the same rows, ranked, in any company; and what it refuses."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1.text_pb2 import (
    FINISH_REASON_END_TOKEN,
    GenerateTextResponse,
    KeepBestText,
    LogitBias,
    Sampling,
    Stopping,
    StreamTextRequest,
    StreamTextResponse,
    TextChunk,
    TextGeneration,
    TokenIds,
)
from support.refusals import refusal
from support.requests import classify, generate_text, stream_text, text
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")
TASTE = KeepBestText(drawn=12, critic="tiny-taste", class_name="bait")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(texts: Loaded) -> AsyncIterator[Running]:
    async with running(texts) as started:
        yield started


def best(drawn: int = 12, count: int = 3, **fields: Any) -> TextGeneration:
    given = {"keep_best": KeepBestText(drawn=drawn), "candidate_count": count, "model": "tiny-headlines"}
    given["sampling"] = Sampling(temperature=3)
    return text(24, **(given | fields))


def without_contest(asked: TextGeneration, **fields: Any) -> TextGeneration:
    """The same request without keep_best: every candidate that it draws."""
    plain = TextGeneration()
    plain.CopyFrom(asked)
    plain.ClearField("keep_best")
    plain.candidate_count = asked.keep_best.drawn
    plain.MergeFrom(TextGeneration(**fields))
    return plain


def mean(chunk: TextChunk) -> float:
    values = [position.logprob for position in chunk.logprobs]
    return math.fsum(values) / len(values) if values else -math.inf


def contents(reply: GenerateTextResponse) -> list[tuple[str, list[int]]]:
    return [(chunk.text, list(chunk.token_ids)) for chunk in reply.candidates]


def gathered(messages: Sequence[StreamTextResponse], count: int) -> list[tuple[str, list[int]]]:
    whole: list[tuple[str, list[int]]] = [("", [])] * count
    echoed = 0
    for chunk in (chunk for message in messages for chunk in message.chunks):
        said, ids = whole[chunk.candidate]
        echoed = len(chunk.token_ids) if chunk.echoed else echoed
        assert chunk.echoed or chunk.first_token_index == len(ids) - echoed
        whole[chunk.candidate] = (said + chunk.text, [*ids, *chunk.token_ids])
    return whole


async def test_the_likeliest_rows_come_first_and_are_those_that_would_have_been_drawn(server: Running) -> None:
    asked = best()
    every = await generate_text(server, without_contest(asked, logprobs=0))
    chosen = await generate_text(server, asked)
    means = [mean(chunk) for chunk in every.candidates]
    ranked = sorted(range(12), key=lambda row: (-means[row], row))[:3]
    assert [end.choice.row for end in chosen.finished] == ranked
    assert [end.choice.score for end in chosen.finished] == [means[row] for row in ranked]
    assert [end.candidate for end in chosen.finished] == [chunk.candidate for chunk in chosen.candidates] == [0, 1, 2]
    assert contents(chosen) == [contents(every)[row] for row in ranked]
    assert [end.reason for end in chosen.finished] == [every.finished[row].reason for row in ranked]
    assert [end.usage for end in chosen.finished] == [every.finished[row].usage for row in ranked]
    assert not any(chunk.logprobs for chunk in chosen.candidates)


async def test_log_probabilities_come_where_they_were_asked_for(server: Running) -> None:
    asked = best(logprobs=2)
    every = await generate_text(server, without_contest(asked))
    chosen = await generate_text(server, asked)
    for chunk, end in zip(chosen.candidates, chosen.finished, strict=True):
        assert chunk.logprobs == every.candidates[end.choice.row].logprobs
        assert end.choice.score == mean(chunk)


@pytest.mark.parametrize("fields", [{}, {"echo": True, "logprobs": 1}, {"keep_best": TASTE, "echo": True}])
async def test_stream_and_unary_are_twins(server: Running, fields: dict[str, Any]) -> None:
    asked = best(**fields)
    whole = await generate_text(server, asked)
    messages = await stream_text(server, asked)
    assert gathered(messages, 3) == contents(whole)
    assert messages[0].started == whole.started
    assert not any(message.HasField("started") for message in messages[1:])
    ends = [end for message in messages for end in message.finished]
    assert [end.choice for end in ends] == [end.choice for end in whole.finished]
    assert [end.candidate for end in ends] == [0, 1, 2]


async def test_company_changes_nothing(server: Running) -> None:
    asked = best(drawn=9, keep_best=KeepBestText(drawn=9, critic="tiny-taste", class_name="news"))
    alone, own = await generate_text(server, asked), await generate_text(server, best())
    others = [asyncio.create_task(stream_text(server, text(60 + n, seed=n, model="tiny-headlines"))) for n in range(7)]
    crowd = await asyncio.gather(*(generate_text(server, each) for each in (asked, best(), asked, best())))
    await asyncio.gather(*others)
    for found, expected in zip(crowd, (alone, own, alone, own), strict=True):
        assert found.candidates == expected.candidates
        assert [end.choice for end in found.finished] == [end.choice for end in expected.finished]


async def test_a_critic_judges_prompt_and_text_together_cut_to_what_it_takes(server: Running) -> None:
    asked = best(keep_best=TASTE)
    every = await generate_text(server, without_contest(asked))
    judged = await classify(server, *[("the " + chunk.text)[:12] for chunk in every.candidates])
    scores = [one.class_probabilities[1] for one in judged.classifications]
    ranked = sorted(range(12), key=lambda row: (-scores[row], row))[:3]
    chosen = await generate_text(server, asked)
    assert [end.choice.row for end in chosen.finished] == ranked
    assert [end.choice.score for end in chosen.finished] == [scores[row] for row in ranked]
    assert contents(chosen) == [contents(every)[row] for row in ranked]
    by_ids = TextGeneration()
    by_ids.CopyFrom(asked)
    by_ids.token_ids.CopyFrom(TokenIds(ids=[21, 9, 6, 1]))
    assert (await generate_text(server, by_ids)).candidates == chosen.candidates


@pytest.mark.parametrize(("critic", "translate"), [("few-letters", ""), ("some-letters", "?")])
async def test_a_critic_with_another_alphabet_reads_what_it_can(server: Running, critic: str, translate: str) -> None:
    asked = best(keep_best=KeepBestText(drawn=12, critic=critic, class_name="verse"))
    every = await generate_text(server, without_contest(asked))
    known = ["".join(c if c in "aeiou" else translate for c in "the " + chunk.text)[:6] for chunk in every.candidates]
    judged = (await classify(server, *known, model=critic)).classifications
    scores = [one.class_probabilities[2] for one in judged]
    chosen = await generate_text(server, asked)
    assert [end.choice.score for end in chosen.finished] == sorted(scores, reverse=True)[:3]


async def test_equals_keep_their_order_and_nothing_to_read_scores_zero(server: Running) -> None:
    greedy = best(drawn=5, sampling=Sampling(temperature=0))
    assert [end.choice.row for end in (await generate_text(server, greedy)).finished] == [0, 1, 2]
    silent = Stopping(max_tokens=2, stop_sequences=["x"])
    bias = Sampling(logit_bias=[LogitBias(token_id=25, bias=100)])  # "x", which ends it at once
    asked = best(drawn=4, count=2, model="tiny-text", text="", stopping=silent, sampling=bias)
    told = await generate_text(server, asked)
    assert [(end.choice.row, end.choice.score) for end in told.finished] == [(0, -math.inf), (1, -math.inf)]
    asked.keep_best.MergeFrom(KeepBestText(critic="tiny-taste", class_name="news"))
    told = await generate_text(server, asked)
    assert [(end.choice.row, end.choice.score) for end in told.finished] == [(0, 0.0), (1, 0.0)]


async def test_the_end_token_does_not_count(server: Running) -> None:
    asked = best(drawn=40, count=40, logprobs=0, class_name="news", text="")
    told = await generate_text(server, asked)
    ended = [end for end in told.finished if end.reason == FINISH_REASON_END_TOKEN]
    assert ended
    for end in ended:
        chunk = told.candidates[end.candidate]
        assert end.choice.score == mean(chunk)


@pytest.mark.parametrize(
    ("fields", "field", "words", "reason"),
    [
        ({"keep_best": KeepBestText(drawn=2)}, "keep_best.drawn", "at least candidate_count, 3", "INVALID_FIELD"),
        ({"keep_best": KeepBestText(drawn=65)}, "keep_best.drawn", "[1, 64]", "INVALID_FIELD"),
        ({"keep_best": KeepBestText()}, "keep_best.drawn", "", "INVALID_FIELD"),
        (
            {"keep_best": KeepBestText(drawn=3, critic="tiny-taste")},
            "keep_best.class_name",
            "beside critic",
            "INVALID_FIELD",
        ),
        (
            {"keep_best": KeepBestText(drawn=3, class_name="a")},
            "keep_best.critic",
            "beside class_name",
            "INVALID_FIELD",
        ),
        (
            {"keep_best": KeepBestText(drawn=3, critic="tiny-taste", class_name="prose")},
            "keep_best.class_name",
            "must be one of: 'news', 'bait', 'verse'",
            "INVALID_FIELD",
        ),
        ({"keep_best": KeepBestText(drawn=3, critic="..")}, "keep_best.critic", "must match", "INVALID_FIELD"),
        ({"count": 1, "received_token_ids": [1]}, "keep_best", "beside received_token_ids", "INVALID_FIELD"),
        (
            {"count": 64, "drawn": 64, "stopping": Stopping(max_tokens=8000), "logprobs": 5},
            "",
            "StreamText",
            "OUTPUT_TOO_LARGE",
        ),
    ],
)
async def test_what_cannot_be_held_is_refused(
    server: Running, fields: dict[str, Any], field: str, words: str, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, best(**fields))
    said = refusal(caught.value)
    path = f"generation.{field}" if field else "generation"
    assert (caught.value.code(), said.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [path])
    assert said.info.reason == reason
    assert words in (caught.value.details() or "")


@pytest.mark.parametrize(
    ("critic", "code", "reason"),
    [
        ("tiny-digits", grpc.StatusCode.FAILED_PRECONDITION, "UNSUPPORTED"),
        ("tiny-text", grpc.StatusCode.FAILED_PRECONDITION, "UNSUPPORTED"),
        ("nobody", grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
    ],
)
async def test_a_critic_of_no_texts_is_refused(
    server: Running, critic: str, code: grpc.StatusCode, reason: str
) -> None:
    asked = best(keep_best=KeepBestText(drawn=3, critic=critic, class_name="a"))
    for call in (generate_text(server, asked), stream_text(server, asked)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code(), refusal(caught.value).info.reason) == (code, reason)


async def test_a_critic_that_fails_ends_the_request(server: Running) -> None:
    asked = best(keep_best=KeepBestText(drawn=3, critic="failing-taste", class_name="news"), text="z")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, asked)
    assert refusal(caught.value).info.reason == "NON_FINITE_OUTPUT"


async def test_long_texts_are_sent_in_messages_that_fit(texts: Loaded) -> None:
    asked = best(drawn=5, count=2, logprobs=20, model="tiny-text", stopping=Stopping(max_tokens=900))
    async with running(texts, message_bytes=65_536) as server:
        messages = await stream_text(server, asked)
        assert max(message.ByteSize() for message in messages) < 65_536 // 3
        with pytest.raises(grpc.aio.AioRpcError, match="StreamText has no such limit"):
            await generate_text(server, asked)
    async with running(texts) as server:
        assert gathered(messages, 2) == contents(await generate_text(server, asked))


async def settled(server: Running, line: str) -> None:
    while line not in await server.page():
        await asyncio.sleep(0)


async def test_leaving_while_texts_are_gathered_frees_everything(texts: Loaded) -> None:
    lane = 'model="tiny-text",role="step",version="1"'
    async with running(texts, metrics_address="127.0.0.1:0", max_tokens=100_000) as server:
        asked = best(drawn=64, count=1, model="tiny-text", stopping=Stopping(max_tokens=100_000))
        call = server.text.StreamText(StreamTextRequest(generation=asked))
        reading = asyncio.create_task(call.read())
        await settled(server, f"rhapsode_active_slots{{{lane}}} 1.0")
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await settled(server, f"rhapsode_active_slots{{{lane}}} 0.0")
        page = await server.page()
        assert (
            'rhapsode_requests_cancelled_total{model="tiny-text",role="step",stage="running",version="1"} 1.0' in page
        )
        assert len((await generate_text(server, best())).candidates) == 3


async def test_a_deadline_that_passes_while_texts_are_gathered_ends_it(texts: Loaded) -> None:
    async with running(texts, maximum_deadline=0.05, max_tokens=100_000) as server:
        asked = best(drawn=64, count=1, model="tiny-text", stopping=Stopping(max_tokens=100_000))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream_text(server, asked)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
