"""Tensors as a bundle declares them, as ONNX names them, and as a role needs them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx

from rhapsode.v1 import bundle_pb2
from rhapsode_server.repository.problems import Problem

BATCH = "batch"

DTYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        bundle_pb2.DATA_TYPE_FLOAT32: np.dtype(np.float32),
        bundle_pb2.DATA_TYPE_INT64: np.dtype(np.int64),
        bundle_pb2.DATA_TYPE_FLOAT16: np.dtype(np.float16),
        bundle_pb2.DATA_TYPE_INT32: np.dtype(np.int32),
        bundle_pb2.DATA_TYPE_UINT8: np.dtype(np.uint8),
        bundle_pb2.DATA_TYPE_BOOL: np.dtype(np.bool_),
    }
)
_ONNX_DTYPES: Mapping[int, np.dtype[Any]] = MappingProxyType(
    {
        onnx.TensorProto.FLOAT: np.dtype(np.float32),
        onnx.TensorProto.INT64: np.dtype(np.int64),
        onnx.TensorProto.FLOAT16: np.dtype(np.float16),
        onnx.TensorProto.INT32: np.dtype(np.int32),
        onnx.TensorProto.UINT8: np.dtype(np.uint8),
        onnx.TensorProto.BOOL: np.dtype(np.bool_),
    }
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output: axes are sizes or names, "?" where neither is given; no type where it is not one of ours."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        """As in docs/bundle.md: "float32 [batch, 30]"."""
        return f"{self.dtype or 'an unknown type'} [{', '.join(map(str, self.shape))}]"


def declared(spec: bundle_pb2.TensorSpec) -> Tensor:
    """What bundle.json says of a tensor."""
    shape = tuple(axis.name or "?" if axis.WhichOneof("extent") == "name" else axis.size or "?" for axis in spec.shape)
    return Tensor(spec.name, DTYPES.get(spec.dtype), shape)


def actual(value: "onnx.ValueInfoProto") -> Tensor:
    """What a graph says of a tensor."""
    tensor = value.type.tensor_type
    shape = tuple(axis.dim_param or axis.dim_value or "?" for axis in tensor.shape.dim)
    return Tensor(value.name, _ONNX_DTYPES.get(tensor.elem_type), shape)


def floats(name: str, *shape: int) -> Tensor:
    """A float32 tensor [batch, *shape]."""
    return Tensor(name, np.dtype(np.float32), (BATCH, *shape))


def integers(name: str, *shape: int) -> Tensor:
    """An int64 tensor [batch, *shape]."""
    return Tensor(name, np.dtype(np.int64), (BATCH, *shape))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two views of the same tensors: who says what is there, who says what should be, and the rule that joins them."""

    rule: str
    where: str
    holder: str
    demander: str

    def problems(self, there: Sequence[Tensor], wanted: Sequence[Tensor]) -> Iterator[Problem]:
        """Each tensor that is missing, one too many, twice there, or of another type or shape."""
        names = Counter(tensor.name for tensor in there)
        wanted_by_name = {tensor.name: tensor for tensor in wanted}
        for name in sorted(wanted_by_name.keys() - names.keys()):
            yield self._problem(name, f"is missing in {self.holder}; {self.demander} {wanted_by_name[name]}")
        for tensor in there:
            match = wanted_by_name.get(tensor.name)
            if match is None:
                yield self._problem(tensor.name, f"is in {self.holder}; {self.demander} no such tensor")
            elif names[tensor.name] > 1:
                yield self._problem(tensor.name, f"is more than once in {self.holder}")
            elif tensor != match:
                yield self._problem(tensor.name, f"is {tensor} in {self.holder}; {self.demander} {match}")

    def _problem(self, name: str, text: str) -> Problem:
        return Problem(self.rule, f"{self.where}: tensor {name!r}", text)
