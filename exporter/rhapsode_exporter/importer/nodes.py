"""Walks over an ONNX graph and the graphs inside its If, Loop and Scan nodes."""

from collections.abc import Iterator

from onnx import GraphProto, NodeProto, TensorProto


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """The graph and every graph inside it."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from graphs_of(inner)


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node."""
    for part in graphs_of(graph):
        yield from part.node


def tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor that is stored: weights, sparse weights, and those in attributes."""
    for part in graphs_of(graph):
        yield from part.initializer
        for sparse in part.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for attribute in (attribute for node in part.node for attribute in node.attribute):
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)


def reads_of(node: NodeProto) -> Iterator[str]:
    """The names of all values that a node reads, those that its inner graphs take from around it included."""
    yield from node.input
    for inner in inner_graphs(node):
        yield from (value.name for value in inner.output)
        for below in inner.node:
            yield from reads_of(below)


def inner_graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs directly inside one node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
