"""TokenizeText over a real socket: texts to tokens and back, whatever the vocabulary is."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import model_pb2, text_pb2
from rhapsode.v1.text_pb2 import TokenIds, TokenizeInput
from support import bundles, vocabularies
from support.bundles import CHARACTERS
from support.refusals import refusal
from support.server import Loaded, Running, load, running
from support.vocabularies import END, TEXT, trained

pytestmark = pytest.mark.asyncio(loop_scope="module")
BAD = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def vocabulary_models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder: Path = tmp_path_factory.mktemp("models")
    vocabularies.write_all(folder)
    bundles.write_all(folder)
    return load(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(vocabulary_models: Loaded) -> AsyncIterator[Running]:
    async with running(vocabulary_models) as started:
        yield started


async def tokenize(server: Running, model: str, *inputs: str | list[int]) -> text_pb2.TokenizeTextResponse:
    given = [
        TokenizeInput(text=one) if isinstance(one, str) else TokenizeInput(token_ids=TokenIds(ids=one))
        for one in inputs
    ]
    return await server.text.TokenizeText(text_pb2.TokenizeTextRequest(model=model, inputs=given))


@pytest.mark.parametrize("model", ["tiny-bytes", "tiny-pairs", "tiny-bpe"])
async def test_any_text_becomes_tokens_and_itself_again(server: Running, model: str) -> None:
    for given in (TEXT, "", "\0", "a🙂", "the €uro"):
        reply = await tokenize(server, model, given)
        (one,) = reply.tokenized
        assert (reply.model, reply.version, one.text) == (model, 1, given)
        assert b"".join(one.pieces) == given.encode()
        assert len(one.pieces) == len(one.token_ids)
        assert (await tokenize(server, model, list(one.token_ids))).tokenized[0] == one


async def test_the_tokens_are_those_of_the_vocabulary(server: Running) -> None:
    (one,) = (await tokenize(server, "tiny-text", "the end")).tokenized
    assert list(one.token_ids) == [CHARACTERS.index(each) for each in "the end"]
    assert list(one.pieces) == [each.encode() for each in "the end"]
    (one,) = (await tokenize(server, "tiny-bpe", f"{TEXT}{END}")).tokenized
    assert list(one.token_ids) == [*trained().encode(TEXT).ids, trained().token_to_id(END)]
    both = (await tokenize(server, "tiny-words", "the dog,cat", [0, 3, 6])).tokenized
    assert [list(each.token_ids) for each in both] == [[0, 3, 6], [0, 3, 6]]
    assert both[0].text == "the <unknown>"


async def test_parts_of_characters_are_pieces_and_their_text_a_replacement(server: Running) -> None:
    (one,) = (await tokenize(server, "tiny-bytes", [97, 0xE2, 0x82])).tokenized
    assert (list(one.pieces), one.text) == ([b"a", b"\xe2", b"\x82"], "a\ufffd")


@pytest.mark.parametrize(
    ("model", "inputs", "field", "reason"),
    [
        ("tiny-text", ["a", "aΩ"], "inputs[1].text", "UNKNOWN_TOKEN"),
        ("tiny-text", ["a", [1, 30]], "inputs[1].token_ids.ids", "UNKNOWN_TOKEN"),
        ("tiny-letters", ["abz"], "inputs[0].text", "UNKNOWN_TOKEN"),
        ("tiny-text", [], "inputs", "INVALID_FIELD"),
        ("tiny-text", ["a"] * 65, "inputs", "INVALID_FIELD"),
        ("tiny-text", ["a" * (2**20 + 1)], "inputs[0].text", "INVALID_FIELD"),
        ("tiny-text", [[1] * 65_537], "inputs[0].token_ids.ids", "INVALID_FIELD"),
        ("..", ["a"], "model", "INVALID_FIELD"),
        ("tiny-text", ["a" * 2**20], "inputs", "OUTPUT_TOO_LARGE"),
        ("tiny-bpe", ["x" * 2**20], "inputs", "OUTPUT_TOO_LARGE"),
        ("tiny-text", [[1] * 65_536] * 9, "inputs", "OUTPUT_TOO_LARGE"),
    ],
)
async def test_what_is_refused(
    server: Running, model: str, inputs: list[str | list[int]], field: str, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await tokenize(server, model, *inputs)
    said = refusal(caught.value)
    assert (caught.value.code(), said.info.reason, said.fields) == (BAD, reason, [field])
    assert (await tokenize(server, "tiny-text", "a")).tokenized


async def test_an_input_of_neither_kind_is_refused(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.text.TokenizeText(text_pb2.TokenizeTextRequest(model="tiny-text", inputs=[TokenizeInput()]))
    assert refusal(caught.value).fields == ["inputs[0].input"]


async def test_models_without_tokens_say_so(server: Running) -> None:
    for model, code in (("tiny-faces", "UNSUPPORTED"), ("nobody", "MODEL_NOT_FOUND")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await tokenize(server, model, "a")
        assert refusal(caught.value).info.reason == code
    models = (await server.model.ListModels(model_pb2.ListModelsRequest())).models
    can = {model.name for model in models if model_pb2.CAPABILITY_TOKENIZE_TEXT in model.capabilities}
    assert can == {"tiny-text", "tiny-bytes", "tiny-pairs", "tiny-bpe", "tiny-words", "tiny-letters"}


async def test_a_reply_fills_a_message_and_no_more(vocabulary_models: Loaded) -> None:
    async with running(vocabulary_models, message_bytes=65_536) as server:
        fits = await tokenize(server, "tiny-text", "a" * 8064)
        assert fits.ByteSize() <= 65_536
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await tokenize(server, "tiny-text", "a" * 8065)
    assert refusal(caught.value).info.reason == "OUTPUT_TOO_LARGE"


@pytest.mark.parametrize(
    "data", [b"\x0a\x01a\x12\x04\x0a\x02\xff\xfe", b"\x0a\x01a\x12\x05\x0a\x03\xed\xa0\x80", b"\xff"]
)
async def test_bytes_that_are_no_text_are_refused(server: Running, data: bytes) -> None:
    call: Callable[..., Any] = server.channel.unary_unary("/rhapsode.v1.TextService/TokenizeText")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(data)
    assert (caught.value.code(), refusal(caught.value).info.reason) == (BAD, "MALFORMED_REQUEST")
