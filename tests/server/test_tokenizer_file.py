"""A bundle's tokenizer.json is that of its vocabulary and puts text together as the server does, or it is refused."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from rhapsode_server.errors import BundleError
from rhapsode_server.models.byte_alphabet import CHARACTERS
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import limits
from rhapsode_server.repository.tokenizer import Cut
from support.bundles import Draft, seal, stepper
from support.vocabularies import (
    END,
    TEXT,
    TOKENIZER,
    bpe_model,
    byte_model,
    letter_model,
    pair_model,
    trained,
    word_model,
)

Change = Callable[[dict[str, Any]], object]


def refused(draft: Draft, folder: Path, rule: str, words: str) -> None:
    with pytest.raises(BundleError, match=words) as caught:
        bundles.read(draft.write(folder))
    assert f"(docs/bundle.md, {rule})" in caught.value.message
    assert len(caught.value.message) < 1000


def changed(draft: Draft, change: Change) -> Draft:
    content = json.loads(draft.files[TOKENIZER])
    change(content)
    draft.files[TOKENIZER] = json.dumps(content).encode()
    return draft


@pytest.mark.parametrize("make", [byte_model, pair_model, bpe_model, word_model, letter_model])
def test_whole_ones_are_read(tmp_path: Path, make: Callable[[], Draft]) -> None:
    draft = make()
    manifest = bundles.read(draft.write(tmp_path))
    assert (manifest.cutter is not None) == (TOKENIZER in draft.files)


def test_tokens_of_bytes_are_written_in_the_alphabet(tmp_path: Path) -> None:
    draft = stepper(tokens=("\n", "a"))
    draft.bundle.sequence.vocabulary.byte_level = True
    refused(draft, tmp_path, "T1", "stands for no byte")


def test_a_start_token_is_no_part_of_a_character(tmp_path: Path) -> None:
    refused(byte_model(start_token=CHARACTERS[0xE2]), tmp_path, "T1", "ends inside a character")


def test_the_file_is_listed_where_the_vocabulary_says_so(tmp_path: Path) -> None:
    without = bpe_model()
    del without.files[TOKENIZER]
    refused(without, tmp_path, "T2", "exactly where")
    unsaid = bpe_model("unsaid")
    unsaid.bundle.sequence.vocabulary.tokenizer = False
    refused(unsaid, tmp_path, "T2", "exactly where")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"null",
        b"{" * 100_000,
        trained().to_str().encode()[:-20],
        trained().to_str().replace('"BPE"', '"Nonsense"').encode(),
        b'{"version":"1.0","model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}',
        b'{"version":"1.0","model":{"type":"BPE","vocab":{},"merges":[["a","b"]]}}',
        b'{"version":"9.0","model":{"type":"BPE","vocab":{},"merges":[]}}',
    ],
    ids=str,
)
def test_a_corrupt_file_is_refused(tmp_path: Path, content: bytes) -> None:
    draft = bpe_model()
    draft.files[TOKENIZER] = content
    with pytest.raises(BundleError, match=TOKENIZER):
        bundles.read(draft.write(tmp_path))


@pytest.mark.parametrize("place", range(0, 4000, 211))
def test_a_flipped_byte_is_refused_or_read_but_crashes_nothing(tmp_path: Path, place: int) -> None:
    draft = bpe_model()
    content = bytearray(draft.files[TOKENIZER])
    content[place % len(content)] ^= 0x15
    draft.files[TOKENIZER] = bytes(content)
    with suppress(BundleError):
        assert bundles.read(draft.write(tmp_path)).cutter is not None


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    draft = bpe_model()
    folder = draft.write(tmp_path)
    (folder / TOKENIZER).write_bytes(b" " * (limits.TOKENIZER_BYTES + 1))
    seal(folder, draft.bundle)
    with pytest.raises(BundleError, match="T3"):
        bundles.read(folder)


def swap(content: dict[str, Any]) -> None:
    vocabulary = content["model"]["vocab"]
    vocabulary["!"], vocabulary["#"] = vocabulary["#"], vocabulary["!"]


def add(content: dict[str, Any]) -> None:
    token = {"id": 999, "content": "<more>", "special": True}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content["added_tokens"].append(token | flags)


@pytest.mark.parametrize(("change", "words"), [(swap, "another token 1"), (add, "has 301 tokens")])
def test_its_vocabulary_is_the_manifests(tmp_path: Path, change: Change, words: str) -> None:
    size = len(bpe_model().bundle.sequence.vocabulary.tokens)
    refused(changed(bpe_model(), change), tmp_path, "T4", words.replace("301", str(size + 1)))


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (bpe_model, lambda content: content.update(decoder=None)),
        (bpe_model, lambda content: content.update(decoder={"type": "Fuse"})),
        (word_model, lambda content: content.update(decoder=json.loads(decoders.ByteLevel().__getstate__()))),
        (word_model, lambda content: content.update(decoder=json.loads(decoders.Metaspace().__getstate__()))),
        (letter_model, lambda content: content["model"].update(byte_fallback=True)),
        (letter_model, lambda content: content["model"].update(continuing_subword_prefix="b")),
    ],
)
def test_its_decoder_puts_tokens_together_and_no_more(
    tmp_path: Path, make: Callable[[], Draft], change: Change
) -> None:
    with pytest.raises(BundleError, match=r"T5|T3"):  # a prefix changes what merges give
        bundles.read(changed(make(), change).write(tmp_path))


def test_fuse_is_no_more_than_that(tmp_path: Path) -> None:
    assert bundles.read(changed(word_model(), lambda c: c.update(decoder={"type": "Fuse"})).write(tmp_path)).cutter


def test_its_unknown_token_is_the_manifests(tmp_path: Path) -> None:
    other = word_model()
    other.bundle.sequence.vocabulary.unknown_token = 0
    refused(other, tmp_path, "T6", "not sequence.vocabulary's")
    none = word_model("none")
    none.bundle.sequence.vocabulary.ClearField("unknown_token")
    refused(none, tmp_path, "T6", "not sequence.vocabulary's")
    absent = letter_model("absent")
    absent.bundle.sequence.vocabulary.unknown_token = 0
    refused(absent, tmp_path, "T6", "no unknown token")
    gone = changed(word_model("gone"), lambda content: content["model"].update(unk_token="<gone>"))
    refused(gone, tmp_path, "T6", "no token")


def test_every_byte_has_a_token_where_none_is_unknown(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    draft = stepper(tokens=("a", "b"), start_token=None)
    draft.bundle.sequence.vocabulary.byte_level = draft.bundle.sequence.vocabulary.tokenizer = True
    draft.files[TOKENIZER] = tokenizer.to_str().encode()
    refused(draft, tmp_path, "T6", "lacks a byte")


def test_it_cuts_as_it_did_before_and_adds_nothing(tmp_path: Path) -> None:
    busy = Tokenizer.from_str(trained().to_str())
    busy.enable_truncation(3)
    busy.enable_padding(length=50)
    busy.model.dropout = 0.5
    cutter = bundles.read(bpe_model(tokenizer=busy).write(tmp_path)).cutter
    assert cutter is not None
    wanted = tuple(trained().encode(TEXT, add_special_tokens=False).ids)
    assert {cutter.cut(TEXT, 10_000) for _ in range(20)} == {Cut(wanted)}
    assert cutter.cut(TEXT, 5) == Cut(wanted[:5])
    assert cutter.cut(f"a{END}", 9).ids[-1] == trained().token_to_id(END)
    assert len(wanted) < len(TEXT.encode())


def test_what_becomes_no_token_is_known(tmp_path: Path) -> None:
    cutter = bundles.read(letter_model().write(tmp_path)).cutter
    assert cutter is not None
    assert cutter.cut("abaé", 9) == Cut((2, 0, 3))
    for text, index in (("abxa", 2), ("x", 0), ("ab🙂", 2), ("a b", 1)):
        assert cutter.cut(text, 9).unknown == index
