"""Typed contents of tensors to and from arrays, floats without a Python object for each."""

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from numpy.typing import NDArray

from rhapsode.oip.inference_pb2 import InferTensorContents
from rhapsode_server.errors import InvalidField
from rhapsode_server.rpc.inference.datatypes import Datatype
from rhapsode_server.rpc.inference.graphs import TensorSpec
from rhapsode_server.rpc.packed import header

_FIXED = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)


def read(contents: InferTensorContents, spec: TensorSpec, rows: int, path: str) -> NDArray[np.generic]:
    """The elements of an input, [rows * numbers]. Raises InvalidField where they are not those of its shape."""
    kind, count = spec.type, rows * spec.numbers
    if not kind.contents:
        raise InvalidField(path, f"cannot hold {kind.name}; raw_input_contents can")
    for field, _ in contents.ListFields():
        if field.name != kind.contents:
            raise InvalidField(f"{path}.{field.name}", f"must be empty: {kind.name} belongs in {kind.contents}")
    values = getattr(contents, kind.contents)
    if len(values) != count:
        rule = f"must have {count} elements, as the shape says, not {len(values)}"
        raise InvalidField(f"{path}.{kind.contents}", rule, {"elements": str(count)})
    if _lies_flat(kind):
        data = contents.SerializeToString()
        return np.frombuffer(data, kind.dtype, count, len(header(_number(kind), count * kind.dtype.itemsize)))
    return _fitting(np.fromiter(values, np.int64, count), kind, f"{path}.{kind.contents}")


def write(contents: InferTensorContents, kind: Datatype, values: NDArray[np.generic]) -> None:
    """Put elements into a reply's tensor."""
    if _lies_flat(kind):
        data = values.astype(kind.dtype, copy=False).tobytes()
        contents.MergeFromString(header(_number(kind), len(data)) + data)
    else:
        getattr(contents, kind.contents).extend(values.ravel().tolist())


def _fitting(values: NDArray[np.int64], kind: Datatype, path: str) -> NDArray[np.generic]:
    """Integers in the model's type. Raises InvalidField where they do not fit."""
    if kind.dtype.kind != "b":
        limits = np.iinfo(kind.dtype)
        if values.min() < limits.min or values.max() > limits.max:
            raise InvalidField(path, f"must hold numbers of {kind.name}")
    return values.astype(kind.dtype)


def _lies_flat(kind: Datatype) -> bool:
    """Whether the elements lie in the message as they do in memory."""
    return InferTensorContents.DESCRIPTOR.fields_by_name[kind.contents].type in _FIXED


def _number(kind: Datatype) -> int:
    return InferTensorContents.DESCRIPTOR.fields_by_name[kind.contents].number
