"""What an ONNX file may hold: a graph that matches its declaration, and nothing that reaches outside."""

from collections.abc import Iterator

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from rhapsode.v1.bundle_pb2 import Graph
from rhapsode_server.repository.problems import Problem
from rhapsode_server.repository.tensors import Comparison, actual, declared

# The operators of the ONNX standard and those that ONNX Runtime itself adds.
_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
# Same seed, same bytes: noise comes in through an input, or not at all.
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
# What the names of tables end in that a graph searches.
_SORTED = ".sorted"


def check(content: bytes, graph: Graph) -> Iterator[Problem]:
    """Every rule that the file of this declaration breaks. Parses without loading anything beside it."""
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        yield Problem("G1", graph.file, "is not an ONNX model")
        return
    broken = [*_safety_problems(model, graph.file)]
    yield from broken
    if not broken:  # the checker and the comparisons only make sense of what is sound so far
        invalid = [*_checker_problems(model, graph.file)]
        yield from invalid
        yield from _tensor_problems(model.graph, graph)
        yield from () if invalid else _order_problems(model.graph, graph.file)


def _safety_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    if not model.graph.output:
        yield Problem("G1", file, "has no graph, or a graph without outputs")
    if model.functions:
        yield Problem("G3", file, f"defines the function {model.functions[0].name!r}; inline it")
    foreign = {entry.domain for entry in model.opset_import} | {node.domain for node in _nodes(model.graph)}
    for domain in sorted(foreign - _DOMAINS):
        yield Problem("G3", file, f"uses operators of the domain {domain!r}, which no server need know")
    for name in sorted({tensor.name for tensor in _tensors(model.graph) if _external(tensor)}):
        yield Problem("G2", f"{file}: tensor {name!r}", "keeps its data outside the file; save with it inside")
    for node in _nodes(model.graph):
        if _moves(node):
            yield Problem("G4", f"{file}: node {node.name!r}", f"{node.op_type} draws noise or batch statistics")


def _checker_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        yield Problem("G1", file, f"is not valid ONNX: {' '.join(str(error).split())[:200]}")


def _tensor_problems(found: GraphProto, graph: Graph) -> Iterator[Problem]:
    comparison = Comparison("G6", graph.file, "the graph", "bundle.json declares")
    weights = {tensor.name for tensor in found.initializer}
    fed = [actual(value) for value in found.input if value.name not in weights]
    yield from comparison.problems(fed, [declared(spec) for spec in graph.inputs])
    given = [actual(value) for value in found.output]
    yield from comparison.problems(given, [declared(spec) for spec in graph.outputs])


def _order_problems(found: GraphProto, file: str) -> Iterator[Problem]:
    """A search in a table that is not sorted would miss what is there, and nobody would know."""
    for tensor in _tensors(found):
        if tensor.name.endswith(_SORTED):
            where = f"{file}: tensor {tensor.name!r}"
            if tensor.data_type != TensorProto.INT64:
                yield Problem("G8", where, f"is no int64, as its name ends in {_SORTED}")
            elif not _ascends(numpy_helper.to_array(tensor).ravel()):
                yield Problem("G8", where, "does not ascend from number to number")


def _ascends(numbers: NDArray[np.int64]) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())  # differences could overflow


def _external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data)


def _moves(node: NodeProto) -> bool:
    """Whether a node's result depends on anything but its row: on chance, or on the rest of the batch."""
    if node.op_type in _RANDOM:
        return True
    if node.op_type == "Dropout":
        return len(node.input) > 2  # the third input switches training on
    return node.op_type == "BatchNormalization" and any(a.name == "training_mode" and a.i for a in node.attribute)


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and all those inside its If, Loop and Scan nodes."""
    yield graph
    for attribute in _attributes(graph):
        for inner in (attribute.g, *attribute.graphs):
            if inner.node or inner.output:
                yield from _graphs(inner)


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for part in _graphs(graph):
        yield from part.node


def _attributes(graph: GraphProto) -> Iterator[AttributeProto]:
    for node in graph.node:
        yield from node.attribute


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor that is stored anywhere: weights, sparse weights, and those in attributes."""
    for part in _graphs(graph):
        yield from part.initializer
        for sparse in part.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for attribute in _attributes(part):
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
