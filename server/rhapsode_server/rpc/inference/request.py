"""A ModelInferRequest → rows of tensors, all of it checked before anything is made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode.oip.inference_pb2 import ModelInferRequest
from rhapsode_server.errors import InvalidField
from rhapsode_server.models.tensors import TensorRow
from rhapsode_server.rpc.inference import contents
from rhapsode_server.rpc.inference.graphs import GraphSpec, TensorSpec
from rhapsode_server.rpc.inference.parameters import check_tensor

Tensor = ModelInferRequest.InferInputTensor


@dataclass(frozen=True, slots=True)
class _Input:
    """An input that has the model's type and shape, at its place in the request."""

    place: int
    tensor: Tensor
    spec: TensorSpec
    rows: int

    def array(self, data: bytes | None) -> NDArray[Any]:
        """Its numbers, [rows, …], from bytes or its typed contents. Raises InvalidField."""
        if data is None:
            path = f"inputs[{self.place}].contents"
            values = contents.read(self.tensor.contents, self.spec, self.rows, path)
        else:
            path = f"raw_input_contents[{self.place}]"
            values = np.frombuffer(data, self.spec.type.dtype)
        _check_values(values, self.spec, path)
        return values.reshape(self.rows, *self.spec.shape)


def read_rows(asked: ModelInferRequest, graph: GraphSpec, most_rows: int) -> Sequence[TensorRow]:
    """The rows of a request. Raises InvalidField where its tensors are not the graph's."""
    inputs = _inputs(asked, graph, most_rows)
    raw = asked.raw_input_contents
    if raw:
        _check_raw(raw, inputs)
    arrays = {each.spec.name: each.array(raw[each.place] if raw else None) for each in inputs}
    return [TensorRow({name: array[row] for name, array in arrays.items()}) for row in range(inputs[0].rows)]


def _inputs(asked: ModelInferRequest, graph: GraphSpec, most_rows: int) -> Sequence[_Input]:
    if len(asked.inputs) != len(graph.inputs):
        raise InvalidField("inputs", f"must have each of the model's inputs once: {', '.join(graph.inputs)}")
    found: dict[str, _Input] = {}
    for place, tensor in enumerate(asked.inputs):
        path = f"inputs[{place}]"
        spec = graph.inputs.get(tensor.name)
        if spec is None:
            raise InvalidField(f"{path}.name", f"must be one of the model's inputs: {', '.join(graph.inputs)}")
        if tensor.name in found:
            raise InvalidField(f"{path}.name", "must not stand in two inputs")
        if tensor.datatype != spec.type.name:
            raise InvalidField(f"{path}.datatype", f"must be {spec.type.name}")
        check_tensor(tensor.parameters, path)
        found[tensor.name] = _Input(place, tensor, spec, _rows(tensor, spec, most_rows, path))
    inputs = list(found.values())
    for each in inputs:
        if each.rows != inputs[0].rows:
            raise InvalidField(f"inputs[{each.place}].shape", "must have as many rows as that of inputs[0]")
    return inputs


def _rows(tensor: Tensor, spec: TensorSpec, most: int, path: str) -> int:
    """Its rows. Raises InvalidField where its shape is not the model's."""
    axes = len(spec.shape) + 1
    if len(tensor.shape) != axes or tuple(tensor.shape[1:]) != spec.shape:
        raise InvalidField(f"{path}.shape", f"must be [{', '.join(map(str, ('rows', *spec.shape)))}]")
    rows = tensor.shape[0]
    if not 1 <= rows <= most:
        raise InvalidField(f"{path}.shape", f"must have 1 to {most} rows", {"min": "1", "max": str(most)})
    return rows


def _check_raw(raw: Sequence[bytes], inputs: Sequence[_Input]) -> None:
    """Raise InvalidField where raw contents are not those of the inputs' shapes, or not all that there is."""
    if len(raw) != len(inputs):
        raise InvalidField("raw_input_contents", f"must have an element for each of the {len(inputs)} inputs, or none")
    for each in inputs:
        if each.tensor.HasField("contents"):
            raise InvalidField(f"inputs[{each.place}].contents", "must not be set beside raw_input_contents")
        size, wanted = len(raw[each.place]), each.rows * each.spec.row_bytes
        if size != wanted:
            rule = f"must have {wanted} bytes, as the shape says, not {size}"
            raise InvalidField(f"raw_input_contents[{each.place}]", rule, {"bytes": str(wanted)})


def _check_values(values: NDArray[Any], spec: TensorSpec, path: str) -> None:
    kind, allowed = spec.type.dtype.kind, spec.allowed
    if kind == "f" and (np.isnan(values).any() if spec.endless else not np.isfinite(values).all()):
        raise InvalidField(path, "must hold finite numbers")
    if kind == "b" and values.view(np.uint8).max() > 1:
        raise InvalidField(path, "must hold bytes that are 0 or 1")
    if allowed is not None and not (values.min() >= allowed.least and values.max() <= allowed.most):
        least, most = f"{allowed.least:.15g}", f"{allowed.most:.15g}"
        raise InvalidField(path, f"must hold numbers in [{least}, {most}]", {"min": least, "max": most})
