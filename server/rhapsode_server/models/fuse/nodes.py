"""Collects ONNX nodes under names of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from rhapsode_server.models.fuse.wiring import PREFIX


class Nodes:
    """The nodes of one graph or subgraph, in order; constants become initializers of the outermost graph."""

    def __init__(self, outer: "Nodes | None" = None, branches: bool = True) -> None:
        """Begin a graph, or one inside `outer`; without `branches`, what is chosen between is always computed."""
        self.nodes: list[NodeProto] = []
        self.branches: bool = branches if outer is None else outer.branches
        self._root: Nodes = self if outer is None else outer._root
        self._constants: dict[tuple[str, tuple[int, ...], bytes], TensorProto] = {}
        self._named = 0

    @property
    def constants(self) -> Sequence[TensorProto]:
        """All constants so far."""
        return list(self._root._constants.values())

    def add(self, operator: str, *inputs: str, **attributes: "int | GraphProto") -> str:
        """Add a node with one output; its name."""
        return self.add_many(operator, *inputs, outputs=1, **attributes)[0]

    def add_many(self, operator: str, *inputs: str, outputs: int, **attributes: "int | GraphProto") -> list[str]:
        """Add a node with several outputs; their names."""
        names = [self.name(operator) for _ in range(outputs)]
        node = helper.make_node(operator, inputs, names, name=self.name("node"))
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        self.nodes.append(node)
        return names

    def name(self, about: str) -> str:
        """A name that nothing else in the graph has."""
        self._root._named += 1
        return f"{PREFIX}{about.lower()}.{self._root._named}"

    def alias(self, value: str, name: str) -> None:
        """Give a value another name."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=self.name("node")))

    def constant(self, values: NDArray[Any]) -> str:
        """A constant; equal ones are stored once."""
        key = (values.dtype.str, values.shape, values.tobytes())
        found = self._root._constants.get(key)
        if found is None:
            found = numpy_helper.from_array(values, self.name("constant"))
            self._root._constants[key] = found
        return found.name

    def integers(self, *values: int) -> str:
        """A constant int64 vector."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float, dtype: type[np.generic] = np.float32) -> str:
        """A constant without axes."""
        return self.constant(np.array(value, dtype))

    def column(self, values: str) -> str:
        """[b] → [b, 1]."""
        return self.add("Unsqueeze", values, self.integers(1))

    def choose(
        self, flag: str, then: "Callable[[Nodes], Sequence[str]]", otherwise: "Callable[[Nodes], Sequence[str]]"
    ) -> list[str]:
        """The values of one of two branches, by a bool; without branches those of `then`, whatever the flag."""
        if not self.branches:
            return list(then(self))
        bodies = [self._branch(about, make) for about, make in (("then", then), ("else", otherwise))]
        outputs = len(bodies[0].output)
        return self.add_many("If", flag, outputs=outputs, then_branch=bodies[0], else_branch=bodies[1])

    def _branch(self, about: str, make: "Callable[[Nodes], Sequence[str]]") -> GraphProto:
        inner = Nodes(self)
        # A branch must give values of its own: one from outside is passed on under a new name.
        own: list[str] = []
        for value in make(inner):
            own.append(self.name(about))
            inner.alias(value, own[-1])
        return helper.make_graph(inner.nodes, self.name(about), [], [untyped(name) for name in own])


def untyped(name: str) -> ValueInfoProto:
    """An output whose type and shape follow from the nodes."""
    return helper.make_empty_tensor_value_info(name)
