"""Received tokens are taken as given, whether or not the model would have sent them."""

from collections.abc import AsyncIterator, Sequence

import pytest

from rhapsode.v1 import text_pb2
from rhapsode.v1.text_pb2 import LogitBias, Sampling, Stopping, TextGeneration, TokenIds
from support.bundles import CHARACTERS
from support.requests import generate_text, score, text
from support.server import Loaded, Running, running

GREEDY = Sampling(temperature=0)
PROMPT = (3, 1, 4)


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


def ids(characters: str) -> list[int]:
    return [CHARACTERS.index(character) for character in characters]


async def continued(server: Running, asked: TextGeneration) -> tuple[text_pb2.TextChunk, text_pb2.TextFinished]:
    reply = await generate_text(server, asked)
    return reply.candidates[0], reply.finished[0]


async def as_prompt(server: Running, received: Sequence[int], tokens: int) -> text_pb2.TextChunk:
    """What follows where the same tokens are the prompt's."""
    asked = text(tokens, token_ids=TokenIds(ids=[*PROMPT, *received]), sampling=GREEDY, logprobs=2)
    return (await continued(server, asked))[0]


async def least_likely(server: Running, count: int) -> list[int]:
    """After the prompt, the least likely token each time."""
    chosen: list[int] = []
    for _ in range(count):
        inputs = [
            text_pb2.ScoreInput(token_ids=TokenIds(ids=[*PROMPT, *chosen, token])) for token in range(len(CHARACTERS))
        ]
        scores = (await score(server, *inputs)).scores
        chosen.append(min(range(len(CHARACTERS)), key=lambda token: scores[token].logprobs[-1].logprob))
    return chosen


async def test_tokens_that_the_model_all_but_never_sends(server: Running) -> None:
    received = await least_likely(server, 6)
    asked = text(30, token_ids=TokenIds(ids=PROMPT), sampling=GREEDY, logprobs=2, received_token_ids=received)
    chunk, end = await continued(server, asked)
    expected = await as_prompt(server, received, 24)
    assert (chunk.text, list(chunk.token_ids), list(chunk.logprobs)) == (
        expected.text,
        list(expected.token_ids),
        list(expected.logprobs),
    )
    assert (chunk.first_token_index, end.usage.generated_token_count) == (6, 24)


async def test_tokens_that_the_request_itself_forbids(server: Running) -> None:
    """A bias of −100, top-k 1 and temperature 0 would never have given them."""
    likeliest = list((await as_prompt(server, [], 3)).token_ids)
    forbidden = [(token + 1) % len(CHARACTERS) for token in likeliest]
    sampling = Sampling(temperature=0, top_k=1, logit_bias=[LogitBias(token_id=t, bias=-100) for t in set(forbidden)])
    asked = text(9, token_ids=TokenIds(ids=PROMPT), sampling=sampling, received_token_ids=forbidden)
    chunk, _ = await continued(server, asked)
    prompt = TokenIds(ids=[*PROMPT, *forbidden])
    expected, _ = await continued(server, text(6, token_ids=prompt, sampling=sampling))
    assert list(chunk.token_ids) == list(expected.token_ids)
    assert not set(chunk.token_ids) & set(forbidden)


async def test_penalties_count_what_was_received(server: Running) -> None:
    received = ids("aaaa")
    never_again = Sampling(temperature=0, presence_penalty=100)
    asked = text(20, sampling=never_again, received_token_ids=received)
    chunk, _ = await continued(server, asked)
    assert ids("a")[0] not in chunk.token_ids


async def test_an_end_token_among_them_ends_nothing(server: Running) -> None:
    asked = text(12, model="with-unknown", text="a", sampling=GREEDY, received_token_ids=ids(".b.c"))
    chunk, end = await continued(server, asked)
    assert chunk.first_token_index == 4
    assert end.usage.generated_token_count == len(chunk.token_ids) > 0


async def test_an_end_token_as_the_last_of_them_is_the_end(server: Running) -> None:
    asked = text(12, model="with-unknown", text="a", received_token_ids=ids("b."))
    chunk, end = await continued(server, asked)
    assert (chunk.text, list(chunk.token_ids)) == ("", [])
    assert (end.reason, end.usage.generated_token_count) == (text_pb2.FINISH_REASON_END_TOKEN, 0)


async def test_a_stop_sequence_in_them_or_begun_by_them_is_none(server: Running) -> None:
    rest = (await as_prompt(server, ids("stop"), 8)).text
    assert "stop" not in rest
    stopping = Stopping(max_tokens=12, stop_sequences=["stop", "op" + rest[:2]])
    asked = text(token_ids=TokenIds(ids=PROMPT), sampling=GREEDY, received_token_ids=ids("stop"), stopping=stopping)
    chunk, end = await continued(server, asked)
    assert (chunk.text, end.reason) == (rest, text_pb2.FINISH_REASON_MAX_TOKENS)
