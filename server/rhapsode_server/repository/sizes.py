"""The sizes of what a graph computes, as far as they can be told without running it."""

from collections.abc import Iterator
from math import prod

import onnx
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from rhapsode_server.repository import limits
from rhapsode_server.repository.onnx_parts import scopes
from rhapsode_server.repository.problems import Problem
from rhapsode_server.repository.shape_work import SMALL
from rhapsode_server.repository.stored import bits


def check(model: ModelProto, file: str) -> Iterator[Problem]:
    """Values of which one row alone would be larger than any that a graph may have.

    A hundred bytes can ask for terabytes (a ConstantOfShape does), and ONNX Runtime takes what the machine will give.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(_skeleton(model), data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        yield Problem("G1", file, f"has shapes that contradict each other: {' '.join(str(error).split())[:200]}")
        return
    for scope in scopes(inferred.graph):
        for value in (*scope.graph.input, *scope.graph.output, *scope.graph.value_info):
            if (axes := len(value.type.tensor_type.shape.dim)) > limits.AXES:
                yield Problem("G10", f"{file}: value {value.name!r}", f"has {axes} axes, the most is {limits.AXES}")
            elif (size := _bytes_of_a_row(value)) > limits.TENSOR_BYTES:
                text = f"would take {size} bytes for one row, the most is {limits.TENSOR_BYTES}"
                yield Problem("G10", f"{file}: value {value.name!r}", text)


def _bytes_of_a_row(value: ValueInfoProto) -> int:
    """As far as the shape is known; an axis that has only a name counts as one."""
    kind = value.type.tensor_type
    numbers = prod(axis.dim_value for axis in kind.shape.dim if axis.dim_value > 0)
    return (numbers * (bits(kind.elem_type) or 64) + 7) // 8


def _skeleton(model: ModelProto) -> ModelProto:
    """The model with no weights but those that may be shapes; inference would copy them all, several times."""
    graph = GraphProto(name=model.graph.name, node=model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    given = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in given:
            graph.input.append(_declared(tensor))
    return ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, graph=graph)


def _declared(tensor: TensorProto) -> ValueInfoProto:
    return onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
