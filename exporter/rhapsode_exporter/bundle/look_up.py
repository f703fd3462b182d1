"""How table[places] becomes ONNX: as a Gather, where torch's own exporter would make a GatherND of int64 places."""

from collections.abc import Sequence
from typing import Any

from onnx_ir import Value
from onnxscript import opset20
from onnxscript.function_libs.torch_lib.ops.core import aten_index

_OPERATORS: Any = opset20  # its stubs know no values of a graph that is being built
_BOOL = "BOOL"


def look_up(table: Value, places: Sequence[Value | None]) -> Value:
    """The translation of torch's `aten::index`; what is no look-up along the first axis alone is left to torch's."""
    first, *others = places
    simple = not others and first is not None and first.dtype is not None and first.dtype.name != _BOOL
    made: Value = _OPERATORS.Gather(table, first, axis=0) if simple else aten_index(table, places)
    return made
