"""Streams of models whose tokens are bytes: never half a character, and exact wherever they are taken up again."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import text_pb2
from rhapsode.v1.text_pb2 import LogitBias, Sampling, ScoreInput, Stopping, TextGeneration, TokenIds
from rhapsode_server.models.byte_alphabet import CHARACTERS, to_bytes
from rhapsode_server.models.detokenizer import whole
from support import vocabularies
from support.bundles import Draft
from support.refusals import refusal
from support.requests import generate_text, score, stream_text, text
from support.server import Loaded, Running, load, running
from support.vocabularies import TEXT, trained

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAIRS: Draft = vocabularies.pair_model()
TOKENS = [to_bytes(token) for token in PAIRS.bundle.sequence.vocabulary.tokens]
EURO = list("€".encode())


@pytest.fixture(scope="module")
def vocabulary_models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder: Path = tmp_path_factory.mktemp("models")
    vocabularies.write_all(folder)
    return load(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(vocabulary_models: Loaded) -> AsyncIterator[Running]:
    async with running(vocabulary_models, flush_tokens=1, flush_interval_ms=1) as started:
        yield started


def odd(seed: int, tokens: int = 48, **fields: object) -> TextGeneration:
    """A text of which many tokens end inside a character: those are made likely."""
    likely = [token for token, piece in enumerate(TOKENS) if whole(piece).encode() != piece or len(piece) > 1]
    bias = [LogitBias(token_id=token, bias=3) for token in likely[-8:]]
    given: dict[str, object] = {"model": "tiny-pairs", "seed": seed, "sampling": Sampling(logit_bias=bias)}
    return text(tokens, **given | fields)


def joined(ids: Sequence[int]) -> bytes:
    return b"".join(TOKENS[token] for token in ids)


def chunks(messages: Sequence[text_pb2.StreamTextResponse]) -> list[text_pb2.TextChunk]:
    return [chunk for message in messages for chunk in message.chunks]


@pytest.mark.parametrize("seed", range(12))
async def test_a_stream_is_what_its_bytes_are_in_utf8(server: Running, seed: int) -> None:
    told = chunks(await stream_text(server, odd(seed)))
    so_far: list[int] = []
    for chunk in told[:-1]:
        so_far += chunk.token_ids
        assert whole(joined(so_far)) == joined(so_far).decode(errors="replace")  # it ends where a character does
        assert "".join(each.text for each in told[: told.index(chunk) + 1]) == whole(joined(so_far))
    ids = [token for chunk in told for token in chunk.token_ids]
    assert "".join(chunk.text for chunk in told) == whole(joined(ids))
    unary = (await generate_text(server, odd(seed))).candidates[0]
    assert (list(unary.token_ids), unary.text) == (ids, whole(joined(ids)))


async def test_it_goes_on_at_every_cut(server: Running) -> None:
    whole_reply = (await generate_text(server, odd(3, 24))).candidates[0]
    ids = list(whole_reply.token_ids)
    for kept in range(1, len(ids)):
        rest = chunks(await stream_text(server, odd(3, 24, received_token_ids=ids[:kept])))
        assert [token for chunk in rest for token in chunk.token_ids] == ids[kept:]
        assert whole(joined(ids[:kept])) + "".join(chunk.text for chunk in rest) == whole_reply.text


@pytest.mark.parametrize("seed", range(6))
async def test_stops_work_on_the_text(server: Running, seed: int) -> None:
    free = (await generate_text(server, odd(seed))).candidates[0].text
    stop = free[len(free) // 2 : len(free) // 2 + 2]
    asked = odd(seed, stopping=Stopping(max_tokens=48, stop_sequences=[stop]))
    reply = await generate_text(server, asked)
    assert reply.candidates[0].text == free[: free.index(stop)]
    assert reply.finished[0].stop_sequence == stop
    told = chunks(await stream_text(server, asked))
    received: list[int] = []
    for place, chunk in enumerate(told[:-1], 1):
        received += chunk.token_ids
        resumed = odd(seed, stopping=asked.stopping, received_token_ids=received)
        rest = chunks(await stream_text(server, resumed))
        assert "".join(each.text for each in rest) == "".join(each.text for each in told[place:])


async def test_a_forced_text_of_many_bytes_comes_in_whole_characters(server: Running) -> None:
    ids = list("a🙂漢é".encode())
    for place in range(1, len(ids)):
        bias = Sampling(temperature=0, logit_bias=[LogitBias(token_id=ids[place], bias=100)])
        asked = text(1 + place, model="tiny-bytes", seed=1, sampling=bias, received_token_ids=ids[:place], text="")
        (chunk,) = chunks(await stream_text(server, asked))
        assert chunk.text == bytes(ids[: place + 1]).decode(errors="ignore")[len(whole(bytes(ids[:place]))) :]
        assert list(chunk.token_ids) == [ids[place]]


async def test_a_prompt_that_ends_inside_a_character_is_completed(server: Running) -> None:
    asked = text(
        1,
        model="tiny-bytes",
        echo=True,
        token_ids=TokenIds(ids=[97, *EURO[:2]]),
        sampling=Sampling(logit_bias=[LogitBias(token_id=EURO[2], bias=100)]),
    )
    echo, made = chunks(await stream_text(server, asked))
    assert (echo.text, echo.echoed, list(echo.token_ids)) == ("a", True, [97, *EURO[:2]])
    assert (made.text, list(made.token_ids)) == ("€", [EURO[2]])


async def test_log_probabilities_stay_with_their_tokens(server: Running) -> None:
    told = chunks(await stream_text(server, odd(5, logprobs=1)))
    plain = (await generate_text(server, odd(5, logprobs=1))).candidates[0]
    assert all(len(chunk.logprobs) == len(chunk.token_ids) for chunk in told)
    assert [each for chunk in told for each in chunk.logprobs] == list(plain.logprobs)


async def test_scores_count_characters(server: Running) -> None:
    inputs = (TEXT, ScoreInput(token_ids=TokenIds(ids=EURO[:2])), ScoreInput(token_ids=TokenIds(ids=[*EURO, 255])))
    scores = (await score(server, *inputs, model="tiny-bytes")).scores
    assert [one.scored_character_count for one in scores] == [len(TEXT), 1, 2]
    assert [one.scored_token_count for one in scores] == [len(TEXT.encode()), 2, 4]
    (fewer,) = (await score(server, TEXT, model="tiny-bpe")).scores
    assert fewer.scored_character_count == len(TEXT)
    assert fewer.scored_token_count == len(trained().encode(TEXT).ids)


async def test_a_prompt_is_cut_by_the_bundles_tokenizer(server: Running) -> None:
    ids = trained().encode(TEXT).ids
    by_text = await generate_text(server, text(model="tiny-bpe", text=TEXT))
    by_ids = await generate_text(server, text(model="tiny-bpe", token_ids=TokenIds(ids=ids)))
    assert by_text.candidates == by_ids.candidates
    assert by_text.started.prompt_token_count == len(ids)


async def test_a_long_text_is_read_aside_and_refused_by_the_limit(server: Running) -> None:
    for model, given in (("tiny-bpe", "x" * 500_000), ("tiny-bytes", "é" * 500_000), ("tiny-bytes", "é" * 5000)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await generate_text(server, text(model=model, text=given))
        assert "at most 8192 tokens" in str(caught.value.details())
    assert (
        await generate_text(server, text(1, model="tiny-bytes", text="é" * 4000))
    ).started.prompt_token_count == 8000


@pytest.mark.parametrize(("given", "index"), [("abaz🙂", "3"), ("🙂", "0")])
async def test_what_has_no_token_is_refused_with_its_place(server: Running, given: str, index: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, text(model="tiny-letters", text=given))
    assert refusal(caught.value).info.reason == "UNKNOWN_TOKEN"
    assert refusal(caught.value).info.metadata["index"] == index


async def test_the_unknown_token_is_fed_and_scored_but_not_drawn(server: Running) -> None:
    hot = {"model": "tiny-words", "text": "the dog", "seed": 2}  # at this temperature all tokens are about as likely
    reply = await generate_text(server, text(200, **hot, logprobs=7, sampling=Sampling(temperature=100)))
    chunk = reply.candidates[0]
    assert reply.started.prompt_token_count == 3
    assert set(chunk.token_ids) == set(range(6))
    likeliest = [{top.token_id: top.logprob for top in position.top} for position in chunk.logprobs]
    assert all(each[6] > -50 for each in likeliest)  # its own probability, not what is left of it
    wanted = Sampling(temperature=100, logit_bias=[LogitBias(token_id=6, bias=0)])
    assert 6 in (await generate_text(server, text(200, **hot, sampling=wanted))).candidates[0].token_ids
    (scored,) = (await score(server, "the dog", model="tiny-words", top_logprobs=7)).scores
    assert list(scored.token_ids) == [0, 3, 6]
    assert scored.scored_character_count == 2
    assert scored.logprobs[1].logprob > -50


async def test_every_text_has_bytes(server: Running) -> None:
    for given in (TEXT, "\0\ufffd\U0010ffff", "".join(CHARACTERS)):
        reply = await generate_text(server, text(1, model="tiny-bytes", text=given, echo=True))
        assert reply.candidates[0].text.startswith(given)
