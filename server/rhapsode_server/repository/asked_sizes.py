"""Sizes that would follow from the numbers of a row: what a client sends must not say how much memory a run takes."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from onnx import ModelProto, NodeProto

from rhapsode_server.repository.onnx_parts import Scope, scopes
from rhapsode_server.repository.problems import Problem

# The inputs that say how large the output is; those that only cut something off it are not among them.
_SIZES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "AffineGrid": (1,),
        "BlackmanWindow": (0,),
        "CenterCropPad": (1,),
        "Col2Im": (1, 2),
        "ConstantOfShape": (0,),
        "DFT": (1,),
        "Expand": (1,),
        "HammingWindow": (0,),
        "HannWindow": (0,),
        "MaxUnpool": (2,),
        "MelWeightMatrix": (0, 1),
        "OneHot": (1,),
        "Pad": (1,),
        "Range": (0, 1, 2),
        "Resize": (2, 3),
        "Tile": (1,),
        "Upsample": (1,),
    }
)
_SHAPES = frozenset({"Shape", "Size"})  # what these give follows from sizes, whatever the numbers are


def check(model: ModelProto, file: str) -> Iterator[Problem]:
    """Nodes whose output is as large as a row asks for. The graph is in order, as the checker wants it."""
    moving: dict[Scope, set[str]] = {}
    for scope in scopes(model.graph):  # outer ones come first
        _look(scope, moving)
        for node in scope.graph.node:
            if _moves(_sizes(node), scope, moving):
                text = f"{node.op_type} makes something as large as the numbers of a row say"
                yield Problem("G10", f"{file}: node {node.name!r}", text)


def _look(scope: Scope, moving: dict[Scope, set[str]]) -> None:
    """Add the values of a scope whose numbers follow from those of a row, or change from step to step of a loop."""
    stored = {tensor.name for tensor in scope.graph.initializer}
    own = moving[scope] = {value.name for value in scope.graph.input if value.name not in stored}
    for node in scope.graph.node:
        inside = any(attribute.HasField("g") for attribute in node.attribute)
        if node.op_type not in _SHAPES and (inside or _moves(node.input, scope, moving)):
            own.update(node.output)


def _moves(names: Iterable[str], scope: Scope, moving: Mapping[Scope, Collection[str]]) -> bool:
    """Whether any of them is among those in sight; the values of the scopes around are many, so nobody copies them."""
    return any(name and name in moving[place] for name in names for place in scope.sight())


def _sizes(node: NodeProto) -> Iterator[str]:
    for place in _SIZES.get(node.op_type, ()):
        if place < len(node.input):
            yield node.input[place]
