"""Attributes that name or count axes and parts: shape inference, ONNX's and so ONNX Runtime's, trusts them blindly."""

from collections.abc import Iterator

from onnx import ModelProto

from rhapsode_server.repository import limits
from rhapsode_server.repository.onnx_parts import nodes
from rhapsode_server.repository.problems import Problem

_COUNTS = frozenset({"batch_dims"})
_NAMES = _COUNTS | {"axes", "axis", "batch_axis", "perm", "scan_input_axes", "scan_output_axes", "time_axis"}


def check(model: ModelProto, file: str) -> Iterator[Problem]:
    """Axes that no tensor has, parts that no node gives.

    GatherND with batch_dims of -1,000,000 ended the process by SIGSEGV; Split into 2³¹ parts took all memory.
    """
    for node in nodes(model.graph):
        for attribute in node.attribute:
            if attribute.name == "num_outputs" and attribute.i != len(node.output):
                yield Problem("G12", f"{file}: node {node.name!r}", "num_outputs must be the number of its outputs")
            least = 0 if attribute.name in _COUNTS else -limits.AXES
            numbers = (attribute.i, *attribute.ints) if attribute.name in _NAMES else ()
            if not all(least <= number <= limits.AXES for number in numbers):
                text = f"{attribute.name} must be in [{least}, {limits.AXES}]"
                yield Problem("G12", f"{file}: node {node.name!r}", text)
