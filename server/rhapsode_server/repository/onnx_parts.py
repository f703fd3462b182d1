"""Everything that an ONNX model holds, whatever it is nested in."""

from collections.abc import Iterator
from dataclasses import dataclass

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """A graph where it stands: the scope around it, whose values it sees, and whether it is repeated."""

    graph: GraphProto
    outer: "Scope | None" = None
    repeated: bool = False

    @property
    def depth(self) -> int:
        """How many graphs are around it."""
        return sum(1 for _ in self.sight()) - 1

    def sight(self) -> "Iterator[Scope]":
        """Itself, and every scope whose values it sees, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


REPEATERS = frozenset({"Loop", "Scan", "SequenceMap"})


def scopes(graph: GraphProto) -> Iterator[Scope]:
    """The graph and all those inside its nodes, wherever attributes may hold one.

    Never deeper than a hundred messages, since the parser of protobuf ends there; and it keeps a list of its own, so
    that depth is no matter of Python's stack.
    """
    waiting = [Scope(graph)]
    while waiting:
        scope = waiting.pop()
        yield scope
        for node in scope.graph.node:
            repeated = scope.repeated or node.op_type in REPEATERS
            waiting += [Scope(part, scope, repeated) for part in graphs(node)]


def graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs that stand inside a node, themselves."""
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else []
        yield from attribute.graphs


def names(model: ModelProto) -> Iterator[str]:
    """Every name that is looked at anywhere: of values, nodes, operators, axes, tensors."""
    yield from (entry.domain for entry in model.opset_import)
    yield from (function.name for function in model.functions)
    for scope in scopes(model.graph):
        for node in scope.graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (attribute.name for attribute in node.attribute)
        for value in (*scope.graph.input, *scope.graph.output, *scope.graph.value_info):
            yield from (value.name, *(axis.dim_param for axis in value.type.tensor_type.shape.dim))
    yield from (tensor.name for tensor in tensors(model.graph))


def nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node of the graph and of those inside it."""
    for scope in scopes(graph):
        yield from scope.graph.node


def tensors(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor that is stored anywhere: weights, sparse weights, and those in attributes."""
    for scope in scopes(graph):
        yield from scope.graph.initializer
        for attribute in _attributes(scope.graph):
            yield from [attribute.t] if attribute.HasField("t") else []
            yield from attribute.tensors
    for sparse in sparse_tensors(graph):
        yield from (sparse.values, sparse.indices)


def sparse_tensors(graph: GraphProto) -> Iterator[SparseTensorProto]:
    """Every sparse tensor that is stored anywhere."""
    for scope in scopes(graph):
        yield from scope.graph.sparse_initializer
        for attribute in _attributes(scope.graph):
            yield from [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            yield from attribute.sparse_tensors


def _attributes(graph: GraphProto) -> Iterator[AttributeProto]:
    for node in graph.node:
        yield from node.attribute
