"""Tokens through the library and the command line: to messages and back, and from a real server."""

import json
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client.scripted import Break, Script, serving
from rhapsode.v1 import text_pb2
from rhapsode_client import (
    AsyncClient,
    ChannelSettings,
    Client,
    InvalidRequest,
    TokenizedText,
    UnexpectedReply,
    UnknownToken,
    Unsupported,
)
from rhapsode_client.cli.main import build
from rhapsode_client.convert import tokens
from rhapsode_client.types import Capability, Prompt
from support import bundles, vocabularies
from support.bundles import CHARACTERS
from support.server import process


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server of characters, bytes and pictures."""
    models = tmp_path_factory.mktemp("models")
    for draft in (bundles.stepper(), bundles.autoencoder(), vocabularies.pair_model()):
        draft.write(models)
    with process(models) as server:
        yield server.address


def run(address: str, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(build(), ["tokenize", *arguments], input=stdin, env={"RHAPSODE_ADDRESS": address})


def test_every_input_reaches_its_field() -> None:
    assert tokens.request("m@2", ["ab", (1, 2)]) == text_pb2.TokenizeTextRequest(
        model="m@2",
        inputs=[
            text_pb2.TokenizeInput(text="ab"),
            text_pb2.TokenizeInput(token_ids=text_pb2.TokenIds(ids=[1, 2])),
        ],
    )


@pytest.mark.parametrize(
    ("inputs", "field"), [("one text", "inputs"), (["a", "\ud800"], "inputs[1]"), (["a", [1, -1]], "inputs[1][1]")]
)
def test_what_a_field_cannot_carry_is_named(inputs: Sequence[Prompt], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        tokens.request("m", inputs)
    assert caught.value.field_violations[0].field == field


def test_a_reply_without_tokens_is_none() -> None:
    with pytest.raises(UnexpectedReply):
        tokens.result(text_pb2.TokenizeTextResponse())


def test_texts_and_tokens_are_told_apart(address: str) -> None:
    with Client(address) as client:
        result = client.tokenize("tiny-pairs", ["a€", [0xE2, 0x82]])
        model = client.model("tiny-pairs")
    assert (result.model, result.version) == ("tiny-pairs", 1)
    assert result.texts == (
        TokenizedText((256, 257), (b"a\xe2", b"\x82\xac"), "a€"),
        TokenizedText((0xE2, 0x82), (b"\xe2", b"\x82"), "\ufffd"),
    )
    assert Capability.TOKENIZE_TEXT in model.capabilities
    assert model.sequence is not None
    assert (model.sequence.byte_level, model.sequence.tokenizer) == (True, False)


async def test_the_asynchronous_client_gives_the_same(address: str) -> None:
    with Client(address) as client:
        expected = client.tokenize("tiny-text", ["the end", "a"])
    async with AsyncClient(address) as client:
        assert await client.tokenize("tiny-text", ["the end", "a"]) == expected


def test_a_broken_stream_of_bytes_goes_on_where_it_broke(address: str) -> None:
    with Client(address) as client:
        whole = client.generate_text("tiny-pairs", seed=4, max_tokens=40).candidates[0]
        for kept in range(1, len(whole.token_ids)):
            received = whole.token_ids[:kept]
            rest = client.generate_text("tiny-pairs", seed=4, max_tokens=40, received_token_ids=received)
            assert received + rest.candidates[0].token_ids == whole.token_ids
            assert whole.text.endswith(rest.text)


def test_errors(address: str) -> None:
    with Client(address) as client:
        with pytest.raises(UnknownToken) as unknown:
            client.tokenize("tiny-text", ["a", "Ω"])
        assert unknown.value.field_violations[0].field == "inputs[1].text"
        with pytest.raises(Unsupported):
            client.tokenize("tiny-faces", ["a"])


def test_it_is_retried_by_grpc(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(0), Break(0)])
    with serving(script, socket) as address, Client(address, eager) as client:
        assert client.tokenize("m", ["ab"]).texts[0].text == "ab"
    assert len(script.requests) == 3


def test_the_command_shows_a_line_for_each_token(address: str) -> None:
    lines = [line.split("\t") for line in run(address, "tiny-pairs", "a€", "b\n").stdout.splitlines()]
    assert lines == [
        ["0", "0", "256", r"b'a\xe2'"],
        ["0", "1", "257", r"b'\x82\xac'"],
        ["1", "0", "98", "'b'"],
        ["1", "1", "10", r"'\n'"],
    ]
    assert run(address, "tiny-pairs", "-", stdin="a€").stdout.splitlines() == ["\t".join(line) for line in lines[:2]]


def test_the_command_puts_tokens_together(address: str) -> None:
    assert run(address, "tiny-pairs", "--ids", "256,257", "--ids", "98").stdout == "a€\nb\n"
    record = json.loads(run(address, "tiny-pairs", "a€", "--json").stdout)
    assert (record["type"], record["text"], record["token_ids"]) == ("tokens", "a€", [256, 257])
    assert [b64decode(piece) for piece in record["pieces"]] == [b"a\xe2", b"\x82\xac"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["tiny-text", "a", "--ids", "1"], 2, "exclude"),
        (["tiny-text", "--ids", "a"], 2, "numbers"),
        (["tiny-text", "--ids", "-1"], 1, "from 0"),
        (["tiny-text", "--ids", str(len(CHARACTERS))], 1, "index 0"),
        (["tiny-faces", "a"], 1, "no tokens"),
    ],
)
def test_the_command_says_what_is_wrong(address: str, arguments: list[str], code: int, words: str) -> None:
    done = run(address, *arguments)
    assert (done.exit_code, words in done.stderr, "Traceback" in done.stderr) == (code, True, False)
