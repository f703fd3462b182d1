"""What is known of a text's tokens before it is cut is never more than there are; far too long ones are not cut."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository.keeping import keeps_all
from rhapsode_server.rpc.tokenizer import Tokenizer
from support.bundles import Draft
from support.vocabularies import TEXT, TOKENIZER, bpe_model, byte_model, letter_model, word_model


def cutting(draft: Draft, folder: Path) -> Tokenizer:
    read = bundles.read(draft.write(folder))
    return Tokenizer(read.bundle.sequence.vocabulary, read.cutter)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return cutting(bpe_model(), tmp_path_factory.mktemp("models"))


@settings(max_examples=100)
@given(st.text(st.sampled_from(TEXT + "<|end|>xé")) | st.text())
def test_a_text_has_at_least_so_many_tokens(pairs: Tokenizer, text: str) -> None:
    assert pairs.fewest(text) <= len(pairs.encode(text, "text", 1000))


def test_something_is_known_of_byte_pairs(pairs: Tokenizer) -> None:
    assert pairs.fewest("a" * 1000) >= 50


def test_nothing_is_known_where_a_tokenizer_may_leave_out(tmp_path: Path) -> None:
    for draft in (word_model(), letter_model()):
        assert cutting(draft, tmp_path).fewest("a" * 1000) == 0


def test_all_is_known_where_there_is_no_tokenizer(tmp_path: Path) -> None:
    assert cutting(byte_model(), tmp_path).fewest("a" * 1000) == 1000


SPACE = {"id": 0, "content": " ", "lstrip": False, "rstrip": True, "single_word": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
REMOVING = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
ISOLATING = REMOVING | {"behavior": "Isolated"}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({}, True),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [ISOLATING, BYTES]}}, True),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [REMOVING, BYTES]}}, False),
        ({"pre_tokenizer": None}, False),  # what is no byte's character is dropped
        ({"pre_tokenizer": {"type": "Whitespace"}}, False),
        ({"normalizer": {"type": "NFKC"}}, False),
        ({"added_tokens": [SPACE]}, False),
        ({"model": {"type": "WordLevel"}}, False),
        ({"model": {"type": "BPE", "unk_token": "?"}}, False),
    ],
)
def test_of_which_tokenizers_it_is_known(change: dict[str, Any], kept: bool) -> None:
    draft = bpe_model()
    assert keeps_all(json.loads(draft.files[TOKENIZER]) | change, draft.bundle.sequence.vocabulary) is kept
