"""TextService over a real socket: what is generated, how it is cut into messages, what is told beside it."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import text_pb2
from rhapsode.v1.text_pb2 import Sampling, Stopping, TokenIds
from support.bundles import CHARACTERS
from support.requests import generate_text, stream_text, text
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


async def test_a_reply_says_what_was_made_and_what_it_cost(server: Running) -> None:
    reply = await generate_text(server, text())
    (chunk,), (end,) = reply.candidates, reply.finished
    assert len(chunk.token_ids) == len(chunk.text) == 24
    assert "".join(CHARACTERS[token] for token in chunk.token_ids) == chunk.text
    assert end.reason == text_pb2.FINISH_REASON_MAX_TOKENS
    assert (end.usage.prompt_token_count, end.usage.generated_token_count) == (4, 24)
    assert 0 <= end.timings.queue_seconds <= end.timings.first_token_seconds <= end.timings.total_seconds
    assert (reply.started.seed, reply.started.model, reply.started.version) == (7, "tiny-text", 1)
    assert len(reply.started.fingerprint) == 64


async def test_a_stream_is_the_unary_reply_in_pieces(server: Running) -> None:
    whole = await generate_text(server, text(100, candidate_count=3))
    messages = await stream_text(server, text(100, candidate_count=3))
    assert messages[0].started == whole.started
    assert not any(message.HasField("started") for message in messages[1:])
    texts, next_index = ["", "", ""], [0, 0, 0]
    for chunk in (chunk for message in messages for chunk in message.chunks):
        assert chunk.first_token_index == next_index[chunk.candidate]
        texts[chunk.candidate] += chunk.text
        next_index[chunk.candidate] += len(chunk.token_ids)
    assert texts == [candidate.text for candidate in whole.candidates]
    assert len(set(texts)) == 3
    assert sorted(end.candidate for message in messages for end in message.finished) == [0, 1, 2]


async def test_a_resumed_stream_goes_on_exactly_where_it_broke(server: Running) -> None:
    whole = (await generate_text(server, text(60))).candidates[0]
    for kept in (1, 16, 59):
        messages = await stream_text(server, text(60, received_token_ids=whole.token_ids[:kept]))
        chunks = [chunk for message in messages for chunk in message.chunks]
        assert chunks[0].first_token_index == kept
        assert "".join(chunk.text for chunk in chunks) == whole.text[kept:]


async def test_a_stream_that_lost_only_its_end_gets_it(server: Running) -> None:
    whole = (await generate_text(server, text(20))).candidates[0]
    messages = await stream_text(server, text(20, received_token_ids=whole.token_ids))
    assert [end.reason for message in messages for end in message.finished] == [text_pb2.FINISH_REASON_MAX_TOKENS]
    assert not any(message.chunks for message in messages)


async def test_a_stop_sequence_ends_before_itself(server: Running) -> None:
    whole = (await generate_text(server, text(60))).candidates[0].text
    stop = whole[20:23]
    reply = await generate_text(server, text(60, stopping=Stopping(max_tokens=60, stop_sequences=[stop])))
    assert reply.candidates[0].text == whole[: whole.index(stop)]
    assert reply.finished[0].reason == text_pb2.FINISH_REASON_STOP_SEQUENCE
    assert reply.finished[0].stop_sequence == stop


async def test_the_prompt_is_echoed_before_anything_else(server: Running) -> None:
    first = (await stream_text(server, text(echo=True, candidate_count=2)))[:2]
    assert [(chunk.candidate, chunk.text, chunk.echoed) for message in first for chunk in message.chunks] == [
        (0, "the ", True),
        (1, "the ", True),
    ]
    plain, echoed = await generate_text(server, text()), await generate_text(server, text(echo=True))
    assert echoed.candidates[0].text == "the " + plain.candidates[0].text


async def test_log_probabilities_come_with_the_likeliest_beside_them(server: Running) -> None:
    reply = await generate_text(server, text(10, logprobs=3, sampling=Sampling(temperature=0)))
    chunk = reply.candidates[0]
    assert len(chunk.logprobs) == 10
    for token, position in zip(chunk.token_ids, chunk.logprobs, strict=True):
        assert len(position.top) == 3
        assert position.top[0].token_id == token  # greedy takes the likeliest
        assert position.top[0].logprob == position.logprob <= 0
    assert not (await generate_text(server, text(10))).candidates[0].logprobs


async def test_token_ids_and_text_are_the_same_prompt(server: Running) -> None:
    ids = TokenIds(ids=[CHARACTERS.index(character) for character in "the "])
    assert (await generate_text(server, text(token_ids=ids))).candidates == (
        await generate_text(server, text())
    ).candidates


async def test_an_empty_prompt_is_the_start_token(server: Running) -> None:
    empty, newline = await generate_text(server, text(text="")), await generate_text(server, text(text="\n"))
    assert empty.candidates == newline.candidates
    assert (empty.started.prompt_token_count, newline.started.prompt_token_count) == (0, 1)


async def test_a_seed_that_the_server_draws_is_told_and_works(server: Running) -> None:
    generation = text()
    generation.ClearField("seed")
    drawn, other = await generate_text(server, generation), await generate_text(server, generation)
    assert drawn.started.seed != other.started.seed
    assert (await generate_text(server, text(seed=drawn.started.seed))).candidates == drawn.candidates


async def test_bias_penalties_and_filters_reach_the_sampler(server: Running) -> None:
    bias = [text_pb2.LogitBias(token_id=CHARACTERS.index("q"), bias=100)]
    assert (await generate_text(server, text(8, sampling=Sampling(logit_bias=bias)))).candidates[0].text == "q" * 8
    greedy = (await generate_text(server, text(30, sampling=Sampling(temperature=0)))).candidates[0].text
    for setting in (Sampling(top_k=1), Sampling(top_p=1e-6), Sampling(min_p=1)):
        assert (await generate_text(server, text(30, sampling=setting))).candidates[0].text == greedy
    penalised = Sampling(temperature=0, presence_penalty=100)
    assert len(set((await generate_text(server, text(20, sampling=penalised))).candidates[0].text)) == 20


async def test_an_unknown_token_stands_in_where_the_vocabulary_has_one(server: Running) -> None:
    strange = await generate_text(server, text(model="with-unknown", text="a€b"))
    comma = await generate_text(server, text(model="with-unknown", token_ids=TokenIds(ids=[2, 29, 3])))
    assert strange.candidates == comma.candidates


async def test_a_model_that_fails_ends_its_request_and_no_other(server: Running) -> None:
    bias = Sampling(logit_bias=[text_pb2.LogitBias(token_id=CHARACTERS.index("z"), bias=100)])
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await generate_text(server, text(model="failing", sampling=bias))
    assert failure.value.code() is grpc.StatusCode.INTERNAL
    never = Sampling(logit_bias=[text_pb2.LogitBias(token_id=CHARACTERS.index("z"), bias=-100)])
    assert len((await generate_text(server, text(model="failing", sampling=never, text="a"))).candidates[0].text) == 24
