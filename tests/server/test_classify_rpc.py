"""ClassifyText over a real socket: of which class texts are, whoever else is judged, and what is refused."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import model_pb2
from rhapsode.v1.text_pb2 import ScoreInput, TokenIds
from rhapsode_server.rpc.tokenizer import Tokenizer
from rhapsode_server.rpc.umpire import readable
from support.refusals import refusal
from support.requests import classify, generate_text, score, text
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(texts: Loaded) -> AsyncIterator[Running]:
    async with running(texts, metrics_address="127.0.0.1:0") as started:
        yield started


async def test_a_critic_says_of_which_class_texts_are(server: Running) -> None:
    reply = await classify(server, "a", "the end", ScoreInput(token_ids=TokenIds(ids=[3, 4])), "bc")
    assert (reply.model, reply.version, len(reply.fingerprint)) == ("tiny-taste", 1, 64)
    assert list(reply.classes) == ["news", "bait", "verse"]
    assert [one.token_count for one in reply.classifications] == [1, 7, 2, 2]
    assert all(sum(one.class_probabilities) == pytest.approx(1.0, abs=1e-6) for one in reply.classifications)
    assert reply.classifications[2] == reply.classifications[3]  # "b" and "c" are tokens 3 and 4
    assert reply.classifications[0] != reply.classifications[1]


async def test_a_judgement_does_not_depend_on_its_company(server: Running) -> None:
    (alone,) = (await classify(server, "the end")).classifications
    inputs = ["a" * (1 + number % 12) for number in range(64)]
    inputs[5] = inputs[63] = "the end"
    crowds = await asyncio.gather(*(classify(server, *inputs) for _ in range(3)))
    assert all(crowd.classifications[5] == crowd.classifications[63] == alone for crowd in crowds)


async def test_what_a_critic_can_do_and_takes(server: Running) -> None:
    model = (await server.model.GetModel(model_pb2.GetModelRequest(model="tiny-taste"))).model
    assert list(model.capabilities) == [model_pb2.CAPABILITY_CLASSIFY_TEXT, model_pb2.CAPABILITY_TOKENIZE_TEXT]
    assert (model.limits.prompt_tokens, model.limits.candidates, model.limits.generated_tokens) == (12, 0, 0)
    assert (list(model.classes), len(model.sequence.vocabulary.tokens)) == (["news", "bait", "verse"], 30)
    assert not model.HasField("image")


@pytest.mark.parametrize(
    ("given", "field", "words", "reason"),
    [
        ([], "inputs", "1 to 64 elements", "INVALID_FIELD"),
        (["a"] * 65, "inputs", "1 to 64 elements", "INVALID_FIELD"),
        (["a", ""], "inputs[1].text", "1 to 1048576 bytes", "INVALID_FIELD"),
        (["a", ScoreInput(token_ids=TokenIds())], "inputs[1].token_ids", "at least 1 token", "INVALID_FIELD"),
        (["a", ScoreInput()], "inputs[1].input", "must have", "INVALID_FIELD"),
        (["a" * 12, "a" * 13], "inputs[1].text", "at most 12 tokens", "INVALID_FIELD"),
        (["a" * 500_000], "inputs[0].text", "at most 12 tokens", "INVALID_FIELD"),
        (["a", "aΩ"], "inputs[1].text", "index 1", "UNKNOWN_TOKEN"),
        ([ScoreInput(token_ids=TokenIds(ids=[30]))], "inputs[0].token_ids.ids", "index 0", "UNKNOWN_TOKEN"),
        (["a", ScoreInput(text="a", class_name="news")], "inputs[1].class_name", "must be empty", "INVALID_FIELD"),
    ],
)
async def test_what_a_critic_cannot_take_is_refused(
    server: Running, given: list[str | ScoreInput], field: str, words: str, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await classify(server, *given)
    said = refusal(caught.value)
    assert (caught.value.code(), said.fields, said.info.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        [field],
        reason,
    )
    assert words in (caught.value.details() or "")


@pytest.mark.parametrize("model", ["tiny-text", "tiny-digits"])
async def test_a_model_that_judges_no_texts_is_refused(server: Running, model: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await classify(server, "a", model=model)
    assert (caught.value.code(), refusal(caught.value).info.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "UNSUPPORTED",
    )


async def test_a_critic_of_texts_does_nothing_else(server: Running) -> None:
    for call in (score(server, "ab", model="tiny-taste"), generate_text(server, text(model="tiny-taste"))):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert refusal(caught.value).info.reason == "UNSUPPORTED"


async def test_a_judgement_that_is_not_finite_ends_its_request_and_no_other(server: Running) -> None:
    good, bad = await asyncio.gather(
        classify(server, "abc", model="failing-taste"),
        classify(server, "abc", "abz", model="failing-taste"),
        return_exceptions=True,
    )
    assert not isinstance(good, BaseException)
    assert isinstance(bad, grpc.aio.AioRpcError)
    assert (bad.code(), refusal(bad).info.reason) == (grpc.StatusCode.INTERNAL, "NON_FINITE_OUTPUT")


async def test_a_deadline_that_passes_ends_it(texts: Loaded) -> None:
    async with running(texts, maximum_deadline=1e-9) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await classify(server, "a")
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_judgements_are_counted(server: Running) -> None:
    before = (await server.page()).count("\n")
    await classify(server, "a", "b")
    page = await server.page()
    assert before
    assert 'rhapsode_items_generated_total{kind="judgement",model="tiny-taste"}' in page
    assert 'rhapsode_queue_depth{model="tiny-taste",role="critic",version="1"} 0.0' in page


async def test_a_reply_that_could_outgrow_a_message_is_refused(texts: Loaded) -> None:
    async with running(texts, message_bytes=65_536) as server:
        assert len((await classify(server, *["a"] * 64)).classifications) == 64


@pytest.mark.parametrize(
    ("text_given", "most", "read"),
    [("aei", 9, (0, 1, 2)), ("xaxxe!", 9, (0, 1)), ("xyz", 9, ()), ("", 9, ()), ("xaei", 2, (0, 1)), ("aΩ", 1, (0,))],
)
async def test_a_critic_leaves_out_what_it_has_no_token_for(
    texts: Loaded, text_given: str, most: int, read: tuple[int, ...]
) -> None:
    tokenizer = Tokenizer(texts.models.find("few-letters").bundle.sequence.vocabulary)
    assert readable(text_given, tokenizer, most) == read
