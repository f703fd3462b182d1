"""A tokenizer goes into a bundle that a server loads, from a training as from an import."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models
from torch import Tensor, nn, zeros

from rhapsode.v1.bundle_pb2 import GraphRole, Metric, ModelKind, SequenceSpec, Training, Vocabulary
from rhapsode_exporter.bundle.draft import BundleDraft, GraphDraft, Preview
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.errors import ImportRefusedError
from rhapsode_exporter.importer.importing import read_model, run_model, write_imported
from support import foreign, graphs, server
from support.vocabularies import END, TEXT, TOKENIZER, tokens_of, trained, words

DESCRIPTION = """
name: foreign
version: 1
description: A test.
licence: CC0-1.0
kind: sequence
graphs:
  step:
    states: [{input: beta_in, output: eta_out}, {input: alpha_in, output: zeta_out, initial_value: 0.25}]
sequence:
  vocabulary: {tokenizer: tokenizer.json%s}
"""


class Even(nn.Module):
    """Finds all tokens equally likely, whatever stands before."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.logits = nn.Embedding(size, size)
        nn.init.zeros_(self.logits.weight)

    def forward(self, token: Tensor) -> Tensor:
        logits: Tensor = self.logits(token)
        return logits


def test_a_draft_may_bring_one(tmp_path: Path) -> None:
    tokens = tokens_of(trained())
    draft = BundleDraft(
        name="even",
        kind=ModelKind.MODEL_KIND_SEQUENCE,
        description="A test.",
        licence="CC0-1.0",
        graphs=(
            GraphDraft(
                GraphRole.GRAPH_ROLE_STEP, Even(len(tokens)), {"token": zeros(33).long()}, ("logits",), tolerance=1e-5
            ),
        ),
        training=Training(),
        metrics=(Metric(name="nothing", value=1.0),),
        preview=Preview("preview.txt", b"abc"),
        sequence=SequenceSpec(vocabulary=Vocabulary(tokens=tokens, byte_level=True)),
        tokenizer=trained().to_str().encode(),
    )
    write_bundle(draft, tmp_path, 1)
    cutter = server.load(tmp_path).models.find("even").cutter
    assert cutter is not None
    assert list(cutter.cut(TEXT, 1000).ids) == trained().encode(TEXT).ids


def imported(folder: Path, tokenizer: Tokenizer, more: str = "") -> Path:
    (folder / TOKENIZER).write_text(tokenizer.to_str())
    described, files = foreign.write(
        folder, DESCRIPTION % more, step=graphs.stepper(tokenizer.get_vocab_size(), seed=1)
    )
    return write_imported(run_model(read_model(described, files)), folder / "models")


def test_an_import_takes_the_vocabulary_from_one(tmp_path: Path) -> None:
    folder = imported(tmp_path, trained(), f", start_token: '{END}'")
    loaded = server.load(tmp_path / "models").models.find("foreign")
    vocabulary = loaded.bundle.sequence.vocabulary
    assert list(vocabulary.tokens) == tokens_of(trained())
    assert (vocabulary.byte_level, vocabulary.tokenizer) == (True, True)
    assert vocabulary.tokens[vocabulary.start_token] == END
    assert loaded.cutter is not None
    assert (folder / TOKENIZER).read_bytes() == (tmp_path / TOKENIZER).read_bytes()
    assert "Ġ" not in (folder / "preview.txt").read_text()


def test_its_unknown_token_is_the_models(tmp_path: Path) -> None:
    imported(tmp_path, words())
    vocabulary = server.load(tmp_path / "models").models.find("foreign").bundle.sequence.vocabulary
    assert (vocabulary.unknown_token, vocabulary.byte_level) == (6, False)


def wordpiece() -> Tokenizer:
    """One whose decoder does more than to put tokens together."""
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


@pytest.mark.parametrize(
    ("content", "words_of"),
    [
        ("{}", "not in the format"),
        (None, "cannot be read"),
        (Tokenizer(models.BPE({"a": 0, "b": 2}, [])).to_str(), "has ids"),
        (wordpiece().to_str(), "decoder WordPiece"),
    ],
)
def test_what_a_bundle_cannot_have_is_refused(tmp_path: Path, content: str | None, words_of: str) -> None:
    if content is not None:
        (tmp_path / TOKENIZER).write_text(content)
    described, files = foreign.write(tmp_path, DESCRIPTION % "", step=graphs.stepper(4, seed=1))
    with pytest.raises(ImportRefusedError, match=words_of):
        read_model(described, files)
