"""The tensors that are stored in a graph: inside the file, whole, and of a size that can be loaded."""

from collections.abc import Iterator, Mapping
from math import prod
from types import MappingProxyType

from onnx import ModelProto, TensorProto

from rhapsode_server.repository import limits
from rhapsode_server.repository.onnx_parts import sparse_tensors, tensors
from rhapsode_server.repository.problems import Problem

_BITS: Mapping[int, int] = MappingProxyType(
    {
        TensorProto.BOOL: 8,
        TensorProto.INT8: 8,
        TensorProto.UINT8: 8,
        TensorProto.INT16: 16,
        TensorProto.UINT16: 16,
        TensorProto.INT32: 32,
        TensorProto.UINT32: 32,
        TensorProto.INT64: 64,
        TensorProto.UINT64: 64,
        TensorProto.FLOAT16: 16,
        TensorProto.BFLOAT16: 16,
        TensorProto.FLOAT: 32,
        TensorProto.DOUBLE: 64,
        TensorProto.INT4: 4,
        TensorProto.UINT4: 4,
    }
)
# Where the numbers of a type lie that are not in raw_data: one field for each number.
_FIELDS: Mapping[int, str] = MappingProxyType(
    {
        **dict.fromkeys((TensorProto.BOOL, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16), "int32_data"),
        **dict.fromkeys((TensorProto.UINT16, TensorProto.INT32, TensorProto.FLOAT16), "int32_data"),
        TensorProto.BFLOAT16: "int32_data",
        TensorProto.INT64: "int64_data",
        TensorProto.UINT32: "uint64_data",
        TensorProto.UINT64: "uint64_data",
        TensorProto.FLOAT: "float_data",
        TensorProto.DOUBLE: "double_data",
    }
)
_STORES = ("raw_data", "int32_data", "int64_data", "uint64_data", "float_data", "double_data", "string_data")


def check(model: ModelProto, file: str) -> Iterator[Problem]:
    """Tensors that lie elsewhere, are too large, or have other numbers of bytes than their shape asks for."""
    found = list(tensors(model.graph))
    for name in sorted({tensor.name for tensor in found if _external(tensor)}):
        yield Problem("G2", f"{file}: tensor {name!r}", "keeps its data outside the file; save with it inside")
    if model.training_info:
        yield Problem("G2", file, "has graphs for training beside the one that is served")
    if any(True for _ in sparse_tensors(model.graph)):
        yield Problem("G9", file, "stores a sparse tensor; ONNX Runtime makes it dense at load, so store it so")
    if len(found) > limits.NODES:
        yield Problem("G10", file, f"stores {len(found)} tensors, the most is {limits.NODES}")
        return
    for tensor in found:
        if (text := _fault(tensor)) and not _external(tensor):
            yield Problem("G9", f"{file}: tensor {tensor.name!r}", text)


def bits(data_type: int) -> int:
    """How many bits a number of an ONNX type takes; 0 where graphs have no such numbers."""
    return _BITS.get(data_type, 0)


def _fault(tensor: TensorProto) -> str:
    """What is wrong with a tensor; empty where nothing is."""
    if not bits(tensor.data_type):
        return "is of a type that no graph needs, such as strings"
    if len(tensor.dims) > limits.AXES:
        return f"has {len(tensor.dims)} axes, the most is {limits.AXES}"
    if any(size < 0 for size in tensor.dims):
        return "has a negative size"
    numbers = prod(tensor.dims)
    size = (numbers * bits(tensor.data_type) + 7) // 8
    if size > limits.TENSOR_BYTES:
        return f"would take {size} bytes, the most is {limits.TENSOR_BYTES}"
    filled = [field for field in _STORES if len(getattr(tensor, field))]
    if filled == ["raw_data"]:
        there, wanted = len(tensor.raw_data), size
    elif filled in ([], [_FIELDS.get(tensor.data_type)]):
        there, wanted = sum(len(getattr(tensor, field)) for field in filled), numbers
    else:
        return f"keeps its numbers in {' and '.join(filled)}"
    return "" if there == wanted else f"has {there} where its shape needs {wanted}"


def _external(tensor: TensorProto) -> bool:
    return bool(tensor.data_location == TensorProto.EXTERNAL or tensor.external_data)
