"""Classes of sequences by name: the prefix is fed, and nobody is told of it."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest
from rhapsode.v1.text_pb2 import Sampling, ScoreInput, TextGeneration, TokenIds
from support.bundles import CHARACTERS
from support.refusals import refusal
from support.requests import generate_text, score, stream_text, text
from support.server import Loaded, Running, running
from support.text_bundles import CLASSES

pytestmark = pytest.mark.asyncio(loop_scope="module")
NEWS = list(CLASSES["news"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(texts: Loaded) -> AsyncIterator[Running]:
    async with running(texts, max_prompt_tokens=400) as started:
        yield started


def headline(words: str = "the ", **fields: object) -> TextGeneration:
    given = {"model": "tiny-headlines", "text": words, "logprobs": 2, "sampling": Sampling(temperature=3)}
    return text(20, **(given | fields))


async def refused(server: Running, asked: TextGeneration) -> tuple[list[str], str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    said = refusal(caught.value)
    return said.fields, said.info.reason, caught.value.details() or ""


def ids(characters: str) -> list[int]:
    return [CHARACTERS.index(character) for character in characters]


@pytest.mark.parametrize("model", ["tiny-headlines", "started-headlines"])
@pytest.mark.parametrize("words", ["the ", ""])
async def test_a_class_is_its_prefix_before_the_prompt_in_place_of_the_start_token(
    server: Running, model: str, words: str
) -> None:
    classed = await generate_text(server, headline(words, model=model, class_name="news", echo=True))
    by_hand = headline(model=model, token_ids=TokenIds(ids=[*NEWS, *ids(words)]))
    plain = await generate_text(server, by_hand)
    (one,), (other,) = classed.candidates, plain.candidates
    assert one.text == words + other.text
    assert list(one.token_ids) == [*ids(words), *other.token_ids]
    assert one.logprobs == other.logprobs
    assert classed.started.prompt_token_count == len(words)
    assert classed.finished[0].usage.prompt_token_count == len(words)


async def test_classes_differ_and_none_is_as_before(server: Running) -> None:
    fields = {"model": "started-headlines", "seed": 2}
    named = [await generate_text(server, headline("t", class_name=name, **fields)) for name in ("news", "bait", "")]
    assert len({one.candidates[0].logprobs[0].logprob for one in named}) == 3
    messages = await stream_text(server, headline("t", class_name="news", echo=True, **fields))
    assert messages[0].chunks[0].text == "t"
    assert "".join(c.text for m in messages for c in m.chunks if not c.echoed) == named[0].candidates[0].text


async def test_an_interrupted_text_of_a_class_goes_on(server: Running) -> None:
    whole = (await generate_text(server, headline(class_name="bait"))).candidates[0]
    rest = await generate_text(server, headline(class_name="bait", received_token_ids=whole.token_ids[:7]))
    assert list(rest.candidates[0].token_ids) == list(whole.token_ids[7:])


async def test_a_class_that_is_not_there_is_refused_with_those_that_are(server: Running) -> None:
    fields, reason, words = await refused(server, headline(class_name="verse"))
    assert (fields, reason) == (["generation.class_name"], "INVALID_FIELD")
    assert "must be one of: 'news', 'bait'" in words
    fields, _, words = await refused(server, text(class_name="news"))
    assert fields == ["generation.class_name"]
    assert "the model knows no classes" in words
    fields, _, words = await refused(server, headline(class_name="n" * 257))
    assert fields == ["generation.class_name"]
    fields, _, words = await refused(server, headline(""))
    assert (fields, "must not be empty without a class" in words) == (["generation.prompt"], True)


async def test_the_prefix_counts_towards_the_longest_prompt(server: Running) -> None:
    asked = {"model": "short-headlines", "class_name": "news"}
    assert (await generate_text(server, headline("abcde", **asked))).candidates
    fields, _, words = await refused(server, headline("abcdef", **asked))
    assert (fields, "at most 5 tokens" in words) == (["generation.text"], True)
    with pytest.raises(grpc.aio.AioRpcError, match="at most 5 tokens"):
        await score(server, ScoreInput(text="abcdef", class_name="news"), model="short-headlines")


async def test_a_server_that_allows_less_than_a_prefix_still_takes_the_class(texts: Loaded) -> None:
    async with running(texts, max_prompt_tokens=2) as server:
        assert (await generate_text(server, headline("", class_name="news"))).candidates
        fields, _, words = await refused(server, headline("a", class_name="news"))
        assert (fields, "at most 0 tokens" in words) == (["generation.text"], True)


@pytest.mark.parametrize("model", ["tiny-headlines", "started-headlines"])
@pytest.mark.parametrize("name", ["news", "bait"])
async def test_a_text_of_a_class_scores_what_generating_it_told(server: Running, model: str, name: str) -> None:
    asked = headline("", model=model, class_name=name, seed=2)
    made = (await generate_text(server, asked)).candidates[0]
    inputs = (ScoreInput(text=made.text, class_name=name), ScoreInput(text=made.text[0], class_name=name))
    scored, first = (await score(server, *inputs, model=model, top_logprobs=2)).scores
    assert (scored.token_ids, scored.logprobs) == (made.token_ids, made.logprobs)
    assert scored.scored_token_count == scored.scored_character_count == len(made.token_ids)
    assert (first.scored_token_count, first.logprobs[0]) == (1, made.logprobs[0])


async def test_long_texts_of_classes_beside_others_score_the_same(server: Running) -> None:
    long = "the end of all things " * 12
    inputs = [ScoreInput(text=long, class_name=name) for name in ("news", "bait", "")]
    together = (await score(server, *inputs, model="tiny-headlines")).scores
    alone = [(await score(server, one, model="tiny-headlines")).scores[0] for one in inputs]
    assert list(together) == alone
    assert [one.scored_token_count for one in alone] == [len(long), len(long), len(long) - 1]
    assert len({one.total_logprob for one in alone}) == 3


async def test_a_score_of_a_class_that_is_not_there_is_refused(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await score(server, "ab", ScoreInput(text="a", class_name="verse"), model="tiny-headlines")
    assert refusal(caught.value).fields == ["inputs[1].class_name"]


async def test_a_models_classes_are_told(server: Running) -> None:
    listed = (await server.model.ListModels(ListModelsRequest())).models
    whole = (await server.model.GetModel(GetModelRequest(model="tiny-headlines"))).model
    told = {each.name: tuple(each.prefix_token_ids) for each in whole.sequence.classes}
    assert told == CLASSES
    (short,) = (model for model in listed if model.name == "tiny-headlines")
    assert short.sequence.classes == whole.sequence.classes
