"""The graphs whose placement on CUDA is told: all that ship, as they are and fused, and a wide vocabulary.

`PYTHONPATH=tests python -m support.placed_graphs` prints the table of docs/gpu.md.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import json_format

from rhapsode.v1 import bundle_pb2
from rhapsode_server.models import fuse
from rhapsode_server.models.state import StateSpec
from rhapsode_server.repository.tensors import DTYPES
from support import bundles, stand_ins
from support.cuda_placement import Placement, place

MODELS = Path(__file__).resolve().parents[2] / "models"
WIDE = 1000
"""A vocabulary in which the fused filter looks at its likeliest tokens first."""
STEPS, ROWS, RANKS = 4, 8, 5


@dataclass(frozen=True, slots=True)
class Subject:
    """A graph to be placed."""

    label: str
    form: str
    """"as exported", "Loop" or "unrolled"."""
    content: Callable[[], bytes]


def subjects() -> Iterator[Subject]:
    """Every graph of every shipped bundle, then the two fused forms of every step graph."""
    paths = sorted(MODELS.glob("*/*/*.onnx"))
    for path in paths:
        yield Subject(f"{_model(path)} {path.stem}", "as exported", path.read_bytes)
    for path in paths:
        if path.stem == "step":
            yield from _fused(f"{_model(path)} step", partial(_shipped_step, path))
    yield from _fused(f"a step of {WIDE} tokens", _wide_step)


def row(subject: Subject, found: Placement) -> str:
    """The subject's row in the table: label, form, operators off CUDA, copies between host and device."""
    off = Counter(node.operator for node in found.off_cuda())
    listed = ", ".join(f"{count} {operator}" for operator, count in sorted(off.items())) or "none"
    return f"| {subject.label} | {subject.form} | {listed} | {len(found.copied)} |"


@dataclass(frozen=True, slots=True)
class _Step:
    content: bytes
    states: tuple[StateSpec, ...]
    vocabulary: int


def _fused(label: str, step: Callable[[], _Step]) -> Iterator[Subject]:
    yield Subject(label, "Loop", lambda: _loop(step()))
    yield Subject(label, "unrolled", lambda: _unrolled(step()))


def _loop(step: _Step) -> bytes:
    return fuse.loop(step.content, step.states, step.vocabulary)


def _unrolled(step: _Step) -> bytes:
    return fuse.unrolled(step.content, step.states, step.vocabulary, steps=STEPS, rows=ROWS, ranks=RANKS)


def _shipped_step(path: Path) -> _Step:
    manifest = path.with_name("bundle.json").read_text("utf-8")
    return _step(json_format.Parse(manifest, bundle_pb2.Bundle()), path.read_bytes())


def _wide_step() -> _Step:
    draft = bundles.stepper(tokens=[f"<{number}>" for number in range(WIDE)], start_token=None)
    return _step(draft.bundle, draft.graphs[bundles.STEP].SerializeToString())


def _step(bundle: bundle_pb2.Bundle, content: bytes) -> _Step:
    graph = next(graph for graph in bundle.graphs if graph.role == bundles.STEP)
    inputs = {spec.name: spec for spec in graph.inputs}
    states = (
        StateSpec(
            input=pair.input,
            output=pair.output,
            shape=tuple(axis.size for axis in inputs[pair.input].shape[1:]),
            dtype=DTYPES[inputs[pair.input].dtype],
            initial_value=pair.initial_value,
        )
        for pair in graph.states
    )
    return _Step(content, tuple(states), len(bundle.sequence.vocabulary.tokens))


def _model(path: Path) -> str:
    return f"{path.parts[-3]}/{path.parts[-2]}"


def main() -> None:
    """Print the rows, or why there are none."""
    if reason := stand_ins.missing():
        sys.exit(reason)
    with TemporaryDirectory() as folder:
        libraries = stand_ins.compile_into(Path(folder))
        for subject in subjects():
            print(row(subject, place(subject.content(), libraries)))


if __name__ == "__main__":
    main()
