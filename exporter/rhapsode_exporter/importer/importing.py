"""From bundle.yaml and ONNX files to a bundle on disk, or to everything that keeps them from being one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from onnx import helper

from rhapsode.v1.bundle_pb2 import Bundle, GraphRole, Training
from rhapsode_exporter.bundle.card import FILE as CARD
from rhapsode_exporter.bundle.card import render_card
from rhapsode_exporter.bundle.draft import GOLDEN_ROWS
from rhapsode_exporter.bundle.goldens import FILE as GOLDENS
from rhapsode_exporter.bundle.goldens import write_goldens
from rhapsode_exporter.bundle.onnx_runtime import version as onnx_runtime_version
from rhapsode_exporter.bundle.preview import previews
from rhapsode_exporter.bundle.whole import seal, whole
from rhapsode_exporter.bundle.write import TOKENIZER, bundle_folder, refuse_existing
from rhapsode_exporter.data.archives import sha256_of
from rhapsode_exporter.importer import limits
from rhapsode_exporter.importer.adopt import Adopted, adopt
from rhapsode_exporter.importer.contract import DECODE
from rhapsode_exporter.importer.describe import describe
from rhapsode_exporter.importer.description import GraphDescription
from rhapsode_exporter.importer.foreign import read_graph
from rhapsode_exporter.importer.plan import Plan, plan
from rhapsode_exporter.importer.problems import Problem, refuse


@dataclass(frozen=True, slots=True)
class Planned:
    """A model whose tensors all have a place: the description's file, the manifest without graphs, a plan each."""

    source: str
    manifest: Bundle
    plans: tuple[Plan, ...]
    tokenizer: bytes | None = None

    def folder(self, out: Path) -> Path:
        """Where its bundle lies below `out`."""
        return bundle_folder(out, self.manifest.name, self.manifest.version)


@dataclass(frozen=True, slots=True)
class Imported:
    """A model whose graphs were adopted: its manifest, still without files, and its graphs by role."""

    manifest: Bundle
    graphs: Mapping[GraphRole.ValueType, Adopted]
    tokenizer: bytes | None = None

    @property
    def batch_invariant(self) -> bool:
        """Whether every row of every graph had the same bits in every batch, on this processor."""
        return all(graph.batch_invariant for graph in self.graphs.values())


def read_model(description: Path, files: Sequence[Path]) -> Planned:
    """What bundle.yaml and the files say, put together; nothing is run.

    Raises ImportRefusedError with everything that is wrong with them.
    """
    described, problems = describe(description, files)
    there = [graph for graph in described.graphs if graph.path in files]
    plans = tuple(_plans(there, described.manifest, problems))
    problems.extend(_size_problems(plans))
    refuse(description.name, problems)
    return Planned(description.name, described.manifest, plans, described.tokenizer)


def run_model(planned: Planned) -> Imported:
    """Wrap and run the graphs of a model. Raises ImportRefusedError with everything that the runs show to be wrong."""
    problems: list[Problem] = []
    adopted: dict[GraphRole.ValueType, Adopted] = {}
    for part in planned.plans:
        drawn = adopted[DECODE].golden.outputs["image"] if DECODE in adopted else None
        graph = adopt(part, planned.manifest, drawn, problems)
        if graph is not None:
            adopted[part.description.role] = graph
    refuse(planned.source, problems)
    manifest = planned.manifest
    manifest.graphs.extend(graph.graph for graph in adopted.values())
    manifest.training.CopyFrom(_origin(planned.plans, adopted))
    return Imported(manifest, adopted, planned.tokenizer)


def write_imported(imported: Imported, out: Path, *, overwrite: bool = False) -> Path:
    """Write `out`/NAME/VERSION; where anything fails nothing of it is left behind. Raises BundleExistsError."""
    manifest = imported.manifest
    folder = bundle_folder(out, manifest.name, manifest.version)
    refuse_existing(folder, overwrite)
    with whole(folder) as part:
        for graph in imported.graphs.values():
            (part / graph.graph.file).write_bytes(graph.content)
        if imported.tokenizer is not None:
            (part / TOKENIZER).write_bytes(imported.tokenizer)
        goldens = {role: graph.golden for role, graph in imported.graphs.items()}
        write_goldens([*goldens.values()], part)
        for preview in previews(manifest, part, goldens):
            (part / preview.filename).write_bytes(preview.content)
        (part / CARD).write_text(render_card(manifest), encoding="utf-8")
        seal(manifest, part)
    return folder


def _plans(graphs: Sequence[GraphDescription], manifest: Bundle, problems: list[Problem]) -> Iterator[Plan]:
    for description in graphs:
        foreign = read_graph(description.path, problems)
        if foreign is not None:
            yield plan(description, foreign, manifest, problems)


def _size_problems(plans: Sequence[Plan]) -> Iterator[Problem]:
    """Whether the goldens of all graphs fit into one file."""
    tensors = [
        *((port.dtype, port.row) for part in plans for port in part.inputs),
        *((output.wanted.dtype, output.wanted.row) for part in plans for output in part.outputs),
    ]
    size = GOLDEN_ROWS * sum(prod(row) * helper.tensor_dtype_to_np_dtype(dtype).itemsize for dtype, row in tensors)
    if size > limits.FILE_BYTES:
        text = f"would take {size} bytes for {GOLDEN_ROWS} rows of every tensor, the most is {limits.FILE_BYTES}"
        yield Problem(GOLDENS, text, "F6")


def _origin(plans: Sequence[Plan], adopted: Mapping[GraphRole.ValueType, Adopted]) -> Training:
    """Where the graphs come from and what was done to them."""
    settings = {}
    for graph in (part.description for part in plans):
        source = f"imported from {graph.file}, SHA-256 {sha256_of(graph.path)}"
        settings[graph.target] = "; ".join((source, *adopted[graph.role].changes))
    return Training(settings=settings, software={"onnx": onnx.__version__, "onnxruntime": onnx_runtime_version()})
