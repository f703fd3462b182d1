"""Tells the nodes of a graph that compute nothing but shapes from those that touch data."""

from collections.abc import Collection, Iterator

from onnx import AttributeProto, GraphProto, NodeProto

SHAPE_SOURCES = frozenset({"Shape", "Size", "Constant"})
SHAPE_OPERATORS = SHAPE_SOURCES | {
    *("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "Neg", "ReduceProd", "Range"),
    *("Equal", "Less", "Greater", "And", "Or", "Not", "Where", "Cast", "Identity"),
    *("Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Reshape", "Expand", "ConstantOfShape"),
}


def shape_arithmetic(graph: GraphProto, outer: Collection[str] = ()) -> Iterator[str]:
    """The names of the nodes that make sizes and indices out of other tensors' shapes, constants and loop counters.

    A graph's nodes stand in topological order. `outer` names the shapes that a subgraph sees from outside.
    """
    shapes = {*outer, *(value.name for value in graph.initializer)}
    for node in graph.node:
        known = all(name in shapes for name in node.input if name)
        if node.op_type in SHAPE_SOURCES or (node.op_type in SHAPE_OPERATORS and known):
            shapes.update(node.output)
            yield node.name
        for inner in subgraphs(node):
            counter = [inner.input[0].name] if node.op_type == "Loop" else []
            yield from shape_arithmetic(inner, {*shapes, *counter})


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """The bodies and branches that a node holds."""
    return [attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH]


def every_node(graph: GraphProto) -> Iterator[NodeProto]:
    """All nodes of a graph, those of its subgraphs too."""
    for node in graph.node:
        yield node
        for inner in subgraphs(node):
            yield from every_node(inner)
