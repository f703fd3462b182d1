"""ScoreText over a real socket: the numbers that generating tells, summed up, whoever else is scored."""

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import text_pb2
from rhapsode.v1.text_pb2 import ScoreInput, TokenIds
from rhapsode_server.engine.scheduler import Delivery
from rhapsode_server.models.row import TextRow
from rhapsode_server.models.text import Ended, EndReason, Logprob, TextSpec, Tokens
from rhapsode_server.rpc import text_reply
from rhapsode_server.rpc.convert_score import ScoreJob
from rhapsode_server.rpc.score_reply import ScoreReply
from rhapsode_server.rpc.served import TextDriver
from support import bundles
from support.bundles import CHARACTERS
from support.refusals import refusal
from support.requests import generate_text, score, stream_text, text
from support.server import Loaded, Running, load, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A model with tokens of several characters and an unknown one."""
    folder: Path = tmp_path_factory.mktemp("models")
    bundles.stepper("words", tokens=("\n", "a", "bcd", "<unknown>", "é"), unknown_token="<unknown>").write(folder)
    return load(folder)


async def told(server: Running, prompt: str = "", **fields: object) -> text_pb2.TextChunk:
    """A text that the server has generated, with its log-probabilities."""
    return (await generate_text(server, text(60, text=prompt, logprobs=3, **fields))).candidates[0]


def ids(characters: str) -> list[int]:
    return [CHARACTERS.index(character) for character in characters]


async def test_a_generated_text_scores_what_generating_it_told(server: Running) -> None:
    chunk = await told(server)
    reply = await score(server, chunk.text, top_logprobs=3)
    (alone,) = reply.scores
    assert (alone.token_ids, alone.logprobs) == (chunk.token_ids, chunk.logprobs)
    assert (reply.model, reply.version, len(reply.fingerprint)) == ("tiny-text", 1, 64)
    assert alone.scored_token_count == alone.scored_character_count == 60


async def test_a_score_does_not_depend_on_its_company(server: Running) -> None:
    (alone,) = (await score(server, "the end, the end.", top_logprobs=2)).scores
    others = [asyncio.create_task(stream_text(server, text(30 + number, seed=number))) for number in range(9)]
    inputs = ["a" * (1 + number % 40) for number in range(64)]
    inputs[11] = inputs[63] = "the end, the end."
    crowded = (await score(server, *inputs, top_logprobs=2)).scores
    await asyncio.gather(*others)
    assert crowded[11] == crowded[63] == alone
    assert [len(one.token_ids) for one in crowded] == list(map(len, inputs))


async def test_without_a_start_token_the_first_token_is_not_scored(server: Running) -> None:
    chunk = await told(server, "t", model="no-start")
    (one,) = (await score(server, f"t{chunk.text}", model="no-start", top_logprobs=3)).scores
    assert list(one.token_ids) == [*ids("t"), *chunk.token_ids]
    assert one.logprobs == chunk.logprobs
    assert one.scored_token_count == one.scored_character_count == 60


async def test_the_figures_follow_from_the_log_probabilities(server: Running) -> None:
    (one,) = (await score(server, "to be, or not to be.")).scores
    assert not any(position.top for position in one.logprobs)
    total = math.fsum(position.logprob for position in one.logprobs)
    assert one.total_logprob == pytest.approx(total, rel=1e-6)
    assert one.bits_per_character == pytest.approx(-total / 20 / math.log(2), rel=1e-6)
    assert one.perplexity == pytest.approx(math.exp(-total / 20), rel=1e-6)
    assert one.perplexity > 1


async def test_text_and_token_ids_are_the_same_input(server: Running) -> None:
    both = await score(server, "the ", ScoreInput(token_ids=TokenIds(ids=ids("the "))))
    assert both.scores[0] == both.scores[1]


async def test_characters_are_counted_in_the_text_that_was_given(words: Loaded) -> None:
    async with running(words) as server:
        scores = (await score(server, "abcda€é", ScoreInput(token_ids=TokenIds(ids=[2, 3])), model="words")).scores
    assert [list(one.token_ids) for one in scores] == [[1, 2, 1, 3, 4], [2, 3]]
    assert [one.scored_character_count for one in scores] == [7, 4]
    for one in scores:
        bits = -one.total_logprob / math.log(2) / one.scored_character_count
        assert one.bits_per_character == pytest.approx(bits)
        assert one.perplexity == pytest.approx(math.exp(-one.total_logprob / one.scored_token_count))


@pytest.mark.parametrize(("logprob", "perplexity"), [(-math.inf, math.inf), (-1e30, math.inf), (-2.0, math.e)])
async def test_what_is_all_but_impossible_is_still_a_number(loaded: Loaded, logprob: float, perplexity: float) -> None:
    row = TextRow(TextSpec((0, 1, 2), max_tokens=0, logprobs=0))
    job = ScoreJob(driver=cast("TextDriver", None), tokens=[(1, 2)], rows=[row])  # nobody drives it
    reply = ScoreReply(job, loaded.models.find("tiny-text"))
    reply.take([Delivery(row, [Tokens([1], " ", [Logprob(logprob)])], done=False, made=1)])
    reply.take([Delivery(row, [Tokens([2], "a", [Logprob(0.0)]), Ended(EndReason.SCORED, 2)], done=True, made=1)])
    (one,) = reply.message().scores
    assert (reply.scored, one.total_logprob) == (2, logprob)
    assert one.perplexity == pytest.approx(perplexity)
    assert one.bits_per_character == pytest.approx(-logprob / 2 / math.log(2))


async def test_a_model_that_fails_ends_its_request_and_no_other(server: Running) -> None:
    good, bad = await asyncio.gather(
        score(server, "abc", model="failing"),
        score(server, "abc", "abzab", model="failing"),
        return_exceptions=True,
    )
    assert isinstance(good, text_pb2.ScoreTextResponse)
    assert isinstance(bad, grpc.aio.AioRpcError)
    assert (bad.code(), refusal(bad).info.reason) == (grpc.StatusCode.INTERNAL, "NON_FINITE_OUTPUT")
    assert (await score(server, "abc", model="failing")).scores == good.scores
    assert (await score(server, "abz", model="failing")).scores  # nothing is asked of the logits after the last token


@pytest.mark.parametrize(("top", "most"), [(0, 5376), (20, 278)])
async def test_a_reply_that_fits_for_sure_is_given_and_no_longer_one(loaded: Loaded, top: int, most: int) -> None:
    async with running(loaded, message_bytes=65_536) as server:
        reply = await score(server, "a" * most, top_logprobs=top)
        assert reply.ByteSize() <= 65_536
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await score(server, "a" * (most + 1), top_logprobs=top)
    assert refusal(caught.value).info.reason == "OUTPUT_TOO_LARGE"


async def test_a_reply_that_turns_out_too_long_when_the_text_is_read_is_not_begun(words: Loaded) -> None:
    async with running(words, message_bytes=65_536) as server:
        assert (await score(server, "bcd" * 5376, model="words")).scores[0].scored_token_count == 5376
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await score(server, "a" * 6000, model="words")
    assert refusal(caught.value).info.reason == "OUTPUT_TOO_LARGE"


async def test_a_deadline_that_passes_ends_it(loaded: Loaded) -> None:
    async with running(loaded, maximum_deadline=0.001) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await score(server, "a" * 8000)
    assert (caught.value.code(), refusal(caught.value).info.reason) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXPIRED",
    )


async def test_it_is_counted_and_logged_under_its_model(loaded: Loaded) -> None:
    async with running(loaded, metrics_address="127.0.0.1:0") as server:
        await score(server, "the ", "end")
        with pytest.raises(grpc.aio.AioRpcError):
            await score(server, "Ω")
        page = await server.page()
        while not (lines := [line for line in server.log_lines() if line["msg"] == "rpc"]):
            await asyncio.sleep(0)  # lines are gathered, and written a little after the reply
        line = lines[0]
    assert 'rhapsode_requests_rejected_total{model="tiny-text",reason="unknown_token"} 1.0' in page
    assert 'rhapsode_items_generated_total{kind="token",model="tiny-text"} 7.0' in page
    assert (line["grpc_method"], line["model"], line["items"]) == ("rhapsode.v1.TextService/ScoreText", "tiny-text", 7)


async def test_every_end_of_a_generated_text_has_its_reason_on_the_wire() -> None:
    assert set(text_reply._REASONS) == set(EndReason) - {EndReason.SCORED}
