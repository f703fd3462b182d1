"""The n-gram families make bundles of a text of one's own in seconds, of characters and of words."""

import io
from pathlib import Path

import onnx
import pytest
from google.protobuf.json_format import Parse
from onnx import numpy_helper
from rich.console import Console
from tokenizers import Tokenizer
from typer.testing import CliRunner

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.data.corpus import Corpus
from rhapsode_exporter.data.tokens import UNKNOWN, by_word
from rhapsode_exporter.families.ngram import QUICK_ORDER, ngram_families
from rhapsode_exporter.main import build_app
from rhapsode_server.errors import BundleError
from rhapsode_server.repository import registry
from rhapsode_server.repository.registry import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support.breaking import edit_graph

LINES = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n"
RARE = "  Absent thee from felicity a while.\n"
CHARACTERS, WORDS = "shakespeare-ngram", "shakespeare-words-ngram"


def make(home: Path, name: str) -> Path:
    """The models folder with the bundle that the command line makes."""
    (home / "own.txt").write_text(LINES * 200 + RARE, encoding="utf-8")
    app = build_app(ngram_families(), Console(file=io.StringIO()))
    told = [name, "--quick", "--data", f"{home}/own.txt", "--out", f"{home}/models", "--runs", f"{home}/runs"]
    done = CliRunner().invoke(app, told, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return home / "models"


@pytest.fixture(scope="module")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("characters"), CHARACTERS)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("words"), WORDS)


def manifest(folder: Path) -> Bundle:
    return Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle())


def test_the_server_fuses_a_bundle_and_finds_it_batch_invariant(characters: Path) -> None:
    served = registry.load(characters, Runtime(RuntimeOptions(provider="cpu")), Batching(max_batch=4))
    model = served.find(CHARACTERS)
    assert model.batch_invariant
    assert model.form == "loop"


def test_the_card_says_what_is_stored_beside_what_could_be(characters: Path) -> None:
    folder = characters / CHARACTERS / "1"
    bundle = manifest(folder)
    figures = {metric.name: metric for metric in bundle.metrics}
    size = len(bundle.sequence.vocabulary.tokens)
    assert figures["entries_stored"].baseline == size**QUICK_ORDER > figures["entries_stored"].value
    assert f"|V|^n = {size}^{QUICK_ORDER}" in figures["entries_stored"].baseline_name
    assert 0 < figures["held_out_nats_per_character"].baseline <= figures["held_out_nats_per_character"].value + 0.1
    assert "entries_stored" in (folder / "card.md").read_text(encoding="utf-8")
    assert bundle.graphs[0].states[0].initial_value == size


def test_two_swapped_keys_are_refused(characters: Path, tmp_path: Path) -> None:
    folder = make(tmp_path, CHARACTERS) / CHARACTERS / "1"

    def swap(model: onnx.ModelProto) -> None:
        (table,) = (tensor for tensor in model.graph.initializer if tensor.name == "network.contexts.sorted")
        keys = numpy_helper.to_array(table).copy()
        keys[[3, 4]] = keys[[4, 3]]
        table.CopyFrom(numpy_helper.from_array(keys, table.name))

    edit_graph(folder, "step.onnx", swap)
    with pytest.raises(BundleError, match=r"'network\.contexts\.sorted': does not ascend .*G8"):
        registry.load(folder.parent.parent, Runtime(RuntimeOptions(provider="cpu")), Batching(max_batch=4))


def test_words_come_with_their_tokenizer(words: Path) -> None:
    folder = words / WORDS / "1"
    vocabulary = manifest(folder).sequence.vocabulary
    assert vocabulary.tokenizer
    assert vocabulary.tokens[vocabulary.unknown_token] == UNKNOWN
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    read = tokenizer.encode(LINES)
    assert "".join(vocabulary.tokens[number] for number in read.ids) == LINES == tokenizer.decode(read.ids)
    assert read.tokens[5:8] == [" to", " be", ","]
    assert vocabulary.unknown_token in tokenizer.encode("felicity").ids


def test_a_text_of_lines_is_cut_like_the_whole() -> None:
    text = "A man's  house,\n\n  his 3rd  castle \nand --- all\tthat."
    corpus = Corpus("", "", "", False, "", "", tuple(sorted(set(text))), (text,), ("",), (text,))
    texts = by_word(corpus, None, most=100, fewest=1)
    assert texts.tokenizer is not None
    whole = Tokenizer.from_str(texts.tokenizer.decode()).encode(text)
    assert list(texts.known[0][1:]) == whole.ids
    assert "".join(whole.tokens) == text
    assert UNKNOWN not in whole.tokens
