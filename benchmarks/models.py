"""Writes the bundles that are measured: shipped ones as they are, random weights where none are trained."""

import argparse
import shutil
from pathlib import Path

import torch
from benchmarks.bundles import Folders, newest, opened
from benchmarks.cases import DIFFUSION, DIGITS, FOREIGN, GRU, NGRAM
from benchmarks.foreign import Size, write_foreign

from rhapsode.v1 import bundle_pb2
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, BundleDraft, GraphDraft, Preview, StateNames
from rhapsode_exporter.bundle.write import write_bundle
from rhapsode_exporter.networks.recurrent import CharacterNetwork, RecurrentShape, StepCell, state_names

_VOCABULARY_OF = "shakespeare-rnn"


def prepare(folders: Folders) -> None:
    """Write what is not there yet; the shipped bundles are copied anew."""
    for name in (DIGITS, DIFFUSION, NGRAM):
        _copy(folders.shipped, name, folders.measured)
    if (folders.shipped / GRU).exists():
        _copy(folders.shipped, GRU, folders.measured)
    elif not (folders.measured / GRU).exists():
        like = opened(newest(folders.shipped, _VOCABULARY_OF)).manifest
        write_bundle(_random_gru(like), folders.measured, 1)
    write_foreign(folders.foreign, FOREIGN, Size())


def _copy(shipped: Path, name: str, models: Path) -> None:
    source = newest(shipped, name)
    shutil.rmtree(models / name, ignore_errors=True)
    shutil.copytree(source, models / name / source.name)


def _random_gru(like: bundle_pb2.Bundle) -> BundleDraft:
    """Two GRU layers of 512 units, 64-wide embedding, and the vocabulary of another bundle."""
    torch.manual_seed(1)
    shape = RecurrentShape(len(like.sequence.vocabulary.tokens), embedding=64, width=512, layers=2, cell="gru")
    states = [StateNames(f"{name}_in", f"{name}_out") for name in state_names(shape)]
    inputs = {"token": torch.arange(GOLDEN_ROWS) % shape.vocabulary}
    inputs |= {state.input: torch.tanh(torch.randn(GOLDEN_ROWS, shape.width)) for state in states}
    outputs = ("logits", *(state.output for state in states))
    step = StepCell(CharacterNetwork(shape))
    return BundleDraft(
        name=GRU,
        kind=bundle_pb2.MODEL_KIND_SEQUENCE,
        description="Random weights, for benchmarks.",
        licence="CC0-1.0",
        graphs=(GraphDraft(bundle_pb2.GRAPH_ROLE_STEP, step, inputs, outputs, tuple(states)),),
        training=bundle_pb2.Training(),
        metrics=(),
        preview=Preview("preview.txt", b""),
        sequence=like.sequence,
    )


def main() -> None:
    """Write the bundles."""
    parser = argparse.ArgumentParser(description="Writes the bundles that are measured.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for bench-models/ (default: out)")
    options = parser.parse_args()
    prepare(Folders(options.models, options.out / "bench-models"))


if __name__ == "__main__":
    main()
