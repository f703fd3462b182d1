"""What becomes of every byte and of odd characters in a prompt: they are known, stand for unknown, or are refused."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1.text_pb2 import TokenizeInput, TokenizeTextRequest
from support import bundles, vocabularies
from support.bundles import CHARACTERS
from support.refusals import refusal
from support.requests import generate_text, text
from support.server import Running, load, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

BYTES = [chr(value) for value in range(256)]
ODD = ("🙂", "👩\u200d🚀", "e\u0301", "\u202e", "\ufeff", "\uffff", "\U0010ffff", "漢", "\ud7ff", "\ue000")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    models: Path = tmp_path_factory.mktemp("models")
    bundles.stepper("known-only").write(models)
    bundles.stepper("with-unknown", unknown_token=",").write(models)
    vocabularies.byte_model("bytes").write(models)
    vocabularies.bpe_model("byte-pairs").write(models)
    vocabularies.letter_model("letters").write(models)
    async with running(load(models)) as started:
        yield started


async def outcome(server: Running, model: str, character: str) -> str:
    """`known` where it comes back from its tokens, `unknown` where another does, or the reason of a refusal."""
    try:
        reply = await server.text.TokenizeText(TokenizeTextRequest(model=model, inputs=[TokenizeInput(text=character)]))
    except grpc.aio.AioRpcError as error:
        said = refusal(error)
        right = said.fields == ["inputs[0].text"] and int(said.info.metadata["index"]) < len(character)
        return said.info.reason if right else str(said)
    return "known" if reply.tokenized[0].text == character else "unknown"


@pytest.mark.parametrize(
    ("model", "known", "otherwise"),
    [
        ("known-only", set(CHARACTERS), "UNKNOWN_TOKEN"),
        ("with-unknown", set(CHARACTERS), "unknown"),
        ("bytes", {*BYTES, *ODD}, ""),
        ("byte-pairs", {*BYTES, *ODD}, ""),
        ("letters", {"a", "b", "é"}, "UNKNOWN_TOKEN"),
    ],
)
async def test_a8_what_becomes_of_every_character(server: Running, model: str, known: set[str], otherwise: str) -> None:
    found = {character: await outcome(server, model, character) for character in (*BYTES, *ODD)}
    assert found == {character: "known" if character in known else otherwise for character in found}


async def test_a11_an_empty_text_has_no_tokens_and_an_empty_prompt_is_the_start_token(server: Running) -> None:
    assert await outcome(server, "known-only", "") == "known"
    empty = await generate_text(server, text(5, model="known-only", text=""))
    start = await generate_text(server, text(5, model="known-only", text="\n"))
    assert empty.candidates == start.candidates
