"""What an ONNX file may hold: a graph that matches its declaration, and nothing that reaches outside."""

from collections.abc import Iterator

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper

from rhapsode.v1.bundle_pb2 import Graph
from rhapsode_server.repository import asked_sizes, axes, limits, operators, shape_work, sizes, stored
from rhapsode_server.repository.onnx_parts import names, tensors
from rhapsode_server.repository.problems import Problem
from rhapsode_server.repository.tensors import Comparison, actual, declared

# What the names of tables end in that a graph searches.
_SORTED = ".sorted"


def check(content: bytes, graph: Graph) -> Iterator[Problem]:
    """Every rule that the file of this declaration breaks. Parses without loading anything beside it."""
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        yield Problem("G1", graph.file, "is not an ONNX model")
        return
    # The parser lets names through that are no text, and then gives bytes for them.
    if all(isinstance(name, str) for name in names(model)):
        yield from _problems(model, graph)
    else:
        yield Problem("G1", graph.file, "has a name that is not UTF-8")


def _problems(model: ModelProto, graph: Graph) -> Iterator[Problem]:
    broken = [*_safety_problems(model, graph.file)]
    yield from broken
    if not broken:  # the checker and the comparisons only make sense of what is sound so far
        invalid = [*_checker_problems(model, graph.file)] or [*shape_work.check(model, graph.file)]
        invalid = invalid or [
            *sizes.check(model, graph.file),
            *asked_sizes.check(model, graph.file),
        ]
        yield from invalid
        yield from _tensor_problems(model.graph, graph)
        yield from () if invalid else _order_problems(model.graph, graph.file)


def _safety_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    if not model.graph.output:
        yield Problem("G1", file, "has no graph, or a graph without outputs")
    if max(len(model.graph.input), len(model.graph.output)) > limits.NODES:
        yield Problem("G10", file, f"has more than {limits.NODES} inputs or outputs")
    yield from stored.check(model, file)
    yield from operators.check(model, file)
    yield from axes.check(model, file)


def _checker_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        yield Problem("G1", file, f"is not valid ONNX: {' '.join(str(error).split())[:200]}")
    except UnicodeDecodeError:  # what it had to say quotes bytes of the file
        yield Problem("G1", file, "is not valid ONNX, in a place that is no text")


def _tensor_problems(found: GraphProto, graph: Graph) -> Iterator[Problem]:
    comparison = Comparison("G6", graph.file, "the graph", "bundle.json declares")
    weights = {tensor.name for tensor in found.initializer}
    fed = [actual(value) for value in found.input if value.name not in weights]
    yield from comparison.problems(fed, [declared(spec) for spec in graph.inputs])
    given = [actual(value) for value in found.output]
    yield from comparison.problems(given, [declared(spec) for spec in graph.outputs])


def _order_problems(found: GraphProto, file: str) -> Iterator[Problem]:
    """A search in a table that is not sorted would miss what is there, and nobody would know."""
    for tensor in tensors(found):
        if tensor.name.endswith(_SORTED):
            where = f"{file}: tensor {tensor.name!r}"
            if tensor.data_type != TensorProto.INT64:
                yield Problem("G8", where, f"is no int64, as its name ends in {_SORTED}")
            elif not _ascends(numpy_helper.to_array(tensor).ravel()):
                yield Problem("G8", where, "does not ascend from number to number")


def _ascends(numbers: NDArray[np.int64]) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())  # differences could overflow
