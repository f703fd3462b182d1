"""How much shape inference will write down of a graph, told before it begins.

It writes down the axes of every value, and the numbers of those that may be shapes. Both can double from node to node:
a file of 1,600 bytes asked it for terabytes.
"""

from collections import ChainMap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from rhapsode_server.repository import limits
from rhapsode_server.repository.onnx_parts import graphs, scopes
from rhapsode_server.repository.problems import Problem

SMALL = 1024  # numbers: shapes and counts have no more, and nothing larger decides a size
_TYPE_BYTES = 4096  # of what is declared of a value: 16 axes with long names have half of it
_WHOLE = (TensorProto.INT32, TensorProto.INT64)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as inference sees it: how many axes it has, and how many numbers where these are followed."""

    axes: int = 0
    numbers: int = 0


_UNKNOWN = _Value()


class _TooMuch(Exception):
    """There is more than may be."""


def check(model: ModelProto, file: str) -> Iterator[Problem]:
    """Types that are too long, and shapes that grow on their way."""
    long = [*_type_problems(model, file)]
    yield from long
    try:
        if not long:
            _Reckoning().walk(model.graph, ChainMap())
    except _TooMuch:
        yield Problem("G10", file, f"has shapes of more than {limits.SHAPE_NUMBERS} numbers in all")


def _type_problems(model: ModelProto, file: str) -> Iterator[Problem]:
    for scope in scopes(model.graph):
        for value in (*scope.graph.input, *scope.graph.output, *scope.graph.value_info):
            where = f"{file}: value {value.name!r}"
            if (axes := len(value.type.tensor_type.shape.dim)) > limits.AXES:
                yield Problem("G10", where, f"has {axes} axes, the most is {limits.AXES}")
            elif (size := value.type.ByteSize()) > _TYPE_BYTES:
                yield Problem("G10", where, f"has a type of {size} bytes, the most is {_TYPE_BYTES}")


class _Reckoning:
    """Goes through a graph in its order, as inference does, and spends what may be written down."""

    def __init__(self) -> None:
        self._left = limits.SHAPE_NUMBERS

    def walk(self, graph: GraphProto, around: ChainMap[str, _Value], fed: int = 0) -> int:
        """Reckon a graph, of which the inputs may have as many axes as it is `fed`: the most axes of its outputs.

        Graphs are inside each other no deeper than GRAPH_DEPTH by now. Raises _TooMuch.
        """
        seen = around.new_child({tensor.name: _stored(tensor) for tensor in graph.initializer})
        for value in graph.input:
            if value.name not in seen.maps[0]:  # not stored
                seen[value.name] = _Value(max(fed, len(value.type.tensor_type.shape.dim)))
        for node in graph.node:
            made = self._made(node, seen)
            self._left -= (1 + made.axes + made.numbers) * len(node.output)
            if self._left < 0:
                raise _TooMuch
            seen.update(dict.fromkeys(node.output, made))
        return max((seen.get(value.name, _UNKNOWN).axes for value in graph.output), default=0)

    def _made(self, node: NodeProto, seen: ChainMap[str, _Value]) -> _Value:
        inputs = [seen.get(name, _UNKNOWN) if name else _UNKNOWN for name in node.input]
        most = max((value.axes for value in inputs), default=0)
        if inner := [self.walk(graph, seen, most) for graph in graphs(node)]:
            return _Value(1 + max(inner))  # a loop gathers what its steps give along one more axis
        inputs += [_UNKNOWN] * 2
        return _Value(_axes(node, inputs, most), _numbers(node, inputs))


def _axes(node: NodeProto, inputs: Sequence[_Value], most: int) -> int:
    match node.op_type:
        case "Unsqueeze":
            return inputs[0].axes + _named(node, inputs)
        case "Squeeze":
            return max(0, inputs[0].axes - _named(node, inputs))
        case "Gather" | "GatherND":
            return max(0, sum(value.axes for value in inputs) - 1)
        case "OneHot":
            return most + 1
        case "Reshape":
            return inputs[1].numbers
        case "ConstantOfShape" | "Expand":
            return max(most, *(value.numbers for value in inputs))
        case "Einsum":
            return max((len(attribute.s) for attribute in node.attribute), default=0)
        case "Constant":
            return max((len(attribute.t.dims) for attribute in node.attribute), default=0)
        case _:
            return most


def _numbers(node: NodeProto, inputs: Sequence[_Value]) -> int:
    """As many as inference follows: through these operators alone."""
    match node.op_type:
        case "Shape":
            return inputs[0].axes
        case "Size":
            return 1
        case "Concat":
            return sum(value.numbers for value in inputs)
        case "Gather":
            return inputs[1].numbers
        case "Cast" | "Slice" | "Squeeze" | "Unsqueeze":
            return inputs[0].numbers
        case "Add" | "Mul" | "Sub":
            return max(value.numbers for value in inputs)
        case "Constant":
            return sum(_stored(attribute.t).numbers + len(attribute.ints) for attribute in node.attribute)
        case _:
            return 0


def _named(node: NodeProto, inputs: Sequence[_Value]) -> int:
    """How many axes a node names, in an attribute or in its second input."""
    return inputs[1].numbers + sum(len(attribute.ints) for attribute in node.attribute)


def _stored(tensor: TensorProto) -> _Value:
    numbers = prod(tensor.dims)
    return _Value(len(tensor.dims), numbers if numbers <= SMALL and tensor.data_type in _WHOLE else 0)
