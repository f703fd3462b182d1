"""A graph that was exported elsewhere, made sure to hold nothing that a bundle may not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, NodeProto, ValueInfoProto

from rhapsode_exporter.bundle.export import RANDOM_OPERATORS, strip
from rhapsode_exporter.importer.contract import dtype_name
from rhapsode_exporter.importer.nodes import nodes_of
from rhapsode_exporter.importer.onnx_file import brief, load
from rhapsode_exporter.importer.opset import OLDEST, OLDEST_RUN, opset_of
from rhapsode_exporter.importer.problems import Problem

DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
_LOWEST_IR = 8  # that of opset 18; since 4, weights need not be inputs


@dataclass(frozen=True, slots=True)
class ForeignTensor:
    """An input or output as the foreign graph declares it; an axis is a size, a name, or None where neither is said."""

    name: str
    dtype: int
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        """As in docs/bundle.md: "float32 [batch, 30]"."""
        axes = ", ".join("?" if axis is None else str(axis) for axis in self.shape)
        return f"{dtype_name(self.dtype)} [{axes}]"


@dataclass(frozen=True, slots=True, eq=False)
class ForeignGraph:
    """A graph with its weights inside and without functions; `model` may be changed by who has it.

    `changes` says in words what was done to it already.
    """

    model: ModelProto
    inputs: tuple[ForeignTensor, ...]
    outputs: tuple[ForeignTensor, ...]
    changes: tuple[str, ...]


def read_graph(path: Path, problems: list[Problem]) -> ForeignGraph | None:
    """The graph in an ONNX file; None, with the reasons among `problems`, where it cannot be one of a bundle."""
    whole = load(path, problems)
    if whole is None:
        return None
    model = whole.model
    found = [*_safety_problems(model, path.name)] or [*_checker_problems(model, path.name)]
    if found:
        problems.extend(found)
        return None
    _tidy(model)
    inputs, outputs = map(_tensor, model.graph.input), map(_tensor, model.graph.output)
    return ForeignGraph(model, tuple(inputs), tuple(outputs), whole.changes)


def _safety_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    """What breaks G3 or G4, operators that nobody can run, and inputs and outputs that are no tensors."""
    if opset_of(model) < OLDEST_RUN:
        text = f"has opset {opset_of(model)}; ONNX Runtime runs {OLDEST_RUN} and newer. Export it again with {OLDEST}"
        yield Problem(file, text, "G1")
    nodes = list(nodes_of(model.graph))
    for domain in sorted({node.domain for node in nodes} - DOMAINS):
        operators = ", ".join(sorted({node.op_type for node in nodes if node.domain == domain}))
        text = f"uses operators of the domain {domain!r} ({operators}); export it with standard operators"
        yield Problem(file, text, "G3")
    for operator in sorted({node.op_type for node in nodes if node.op_type in RANDOM_OPERATORS}):
        yield Problem(
            file, f"draws random numbers itself ({operator}); take the noise as an input, or leave it out", "G4"
        )
    for operator in sorted({node.op_type for node in nodes if _trains(node)}):
        yield Problem(file, f"has a {operator} in training mode; export the network in evaluation mode", "G4")
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            yield Problem(f"{file}: {value.name!r}", "is not a tensor", "G6")


def _trains(node: NodeProto) -> bool:
    if node.op_type == "Dropout":
        return len(node.input) > 2  # the third input switches training on
    return node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute)


def _checker_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        yield Problem(file, f"is not valid ONNX: {brief(error)}", "G1")


def _tidy(model: ModelProto) -> None:
    """Drop what is beside the graph: notes, operator sets that no node uses, weights among the inputs."""
    strip(model)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(fed)
    used = {node.domain for node in nodes_of(graph)} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used or entry.domain == "ai.onnx"]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.ir_version = max(model.ir_version, _LOWEST_IR)


def _tensor(value: ValueInfoProto) -> ForeignTensor:
    kind = value.type.tensor_type
    axes = (axis.dim_param or (axis.dim_value if axis.dim_value > 0 else None) for axis in kind.shape.dim)
    return ForeignTensor(value.name, kind.elem_type, tuple(axes))
