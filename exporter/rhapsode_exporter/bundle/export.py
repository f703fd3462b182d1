"""From a torch network to one ONNX file with the names and axes of the bundle contract."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import Axis, DataType, Graph, GraphRole, StatePair, TensorSpec
from rhapsode_exporter.bundle.draft import GraphDraft
from rhapsode_exporter.bundle.look_up import look_up
from rhapsode_exporter.errors import ExportFailedError

OPSET = 20
BATCH = "batch"
EXAMPLE_ROWS = 3  # neither 0 nor 1, which torch.export would take for constants
RANDOM_OPERATORS = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)
DATA_TYPES: Mapping[int, DataType.ValueType] = MappingProxyType(
    {
        onnx.TensorProto.FLOAT: DataType.DATA_TYPE_FLOAT32,
        onnx.TensorProto.INT64: DataType.DATA_TYPE_INT64,
        onnx.TensorProto.INT32: DataType.DATA_TYPE_INT32,
        onnx.TensorProto.UINT8: DataType.DATA_TYPE_UINT8,
        onnx.TensorProto.FLOAT16: DataType.DATA_TYPE_FLOAT16,
        onnx.TensorProto.BOOL: DataType.DATA_TYPE_BOOL,
    }
)


def file_of(role: GraphRole.ValueType) -> str:
    """The file name of a graph: its role in lower case."""
    return f"{role_name(role)}.onnx"


def role_name(role: GraphRole.ValueType) -> str:
    """A role in lower case: "step", "decode", …"""
    return GraphRole.Name(role).removeprefix("GRAPH_ROLE_").lower()


def export_graph(draft: GraphDraft, folder: Path) -> Graph:
    """Write the draft's network to `folder`/ROLE.onnx and describe the graph as it was read back.

    Raises ExportFailedError where torch cannot export the network, or the graph breaks the contract: another file
    beside it, a random operator, unexpected names, an axis that varies though it is not the batch.
    """
    path = folder / file_of(draft.role)
    _export(draft, path)
    model = onnx.load(path, load_external_data=False)
    strip(model)
    _check(draft, model)
    onnx.save(model, path)
    return Graph(
        role=draft.role,
        file=path.name,
        inputs=[tensor_spec(value) for value in model.graph.input],
        outputs=[tensor_spec(value) for value in model.graph.output],
        states=[StatePair(input=one.input, output=one.output, initial_value=one.initial) for one in draft.states],
        tolerance=draft.tolerance,
    )


class _Positional(nn.Module):
    """A network seen through positional arguments only, whatever its own signature looks like."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        result: Tensor | tuple[Tensor, ...] = self.network(*inputs)
        return result


def _export(draft: GraphDraft, path: Path) -> None:
    network = _Positional(draft.network.eval())
    example = tuple(tensor[:EXAMPLE_ROWS].contiguous() for tensor in draft.golden_inputs.values())
    batch = torch.export.Dim(BATCH, min=1)
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                network,
                example,
                path,
                input_names=list(draft.golden_inputs),
                output_names=list(draft.outputs),
                dynamic_shapes=(tuple({0: batch} for _ in example),),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
                custom_translation_table={torch.ops.aten.index.Tensor: look_up},
            )
    except Exception as error:
        raise ExportFailedError(f"torch could not export {path.name}: {error}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's exporter from warning of its own internals, which a user can do nothing about."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def strip(model: onnx.ModelProto) -> None:
    """Drop what torch notes beside the graph: stack traces with paths of this machine, names of modules."""
    graph = model.graph
    del graph.value_info[:]
    parts: list[Any] = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for part in parts:
        del part.metadata_props[:]
        part.ClearField("doc_string")


def _check(draft: GraphDraft, model: onnx.ModelProto) -> None:
    name = file_of(draft.role)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportFailedError(f"{name} is not a valid ONNX graph: {error}") from error
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ExportFailedError(f"{name} keeps weights in another file")
    if drawn := RANDOM_OPERATORS & {node.op_type for node in model.graph.node}:
        raise ExportFailedError(f"{name} draws random numbers itself ({', '.join(sorted(drawn))})")
    _check_names(name, "inputs", draft.golden_inputs, [value.name for value in model.graph.input])
    _check_names(name, "outputs", dict.fromkeys(draft.outputs), [value.name for value in model.graph.output])
    for value in (*model.graph.input, *model.graph.output):
        _check_axes(name, value)


def _check_names(name: str, side: str, wanted: Mapping[str, object], found: list[str]) -> None:
    if found != list(wanted):
        raise ExportFailedError(f"{name} has the {side} {found} instead of {list(wanted)}")


def _check_axes(name: str, value: onnx.ValueInfoProto) -> None:
    first, *others = value.type.tensor_type.shape.dim or [onnx.TensorShapeProto.Dimension()]
    if first.dim_param != BATCH:
        raise ExportFailedError(f"axis 0 of {value.name} in {name} is not the batch: {first}")
    if any(not axis.dim_value for axis in others):
        raise ExportFailedError(f"{value.name} in {name} has an axis that varies beside the batch")
    if value.type.tensor_type.elem_type not in DATA_TYPES:
        raise ExportFailedError(f"{value.name} in {name} has an element type that a bundle cannot name")


def tensor_spec(value: onnx.ValueInfoProto) -> TensorSpec:
    """How a bundle declares a tensor whose axes are sizes or names, and whose type is one of DATA_TYPES."""
    kind = value.type.tensor_type
    axes = [Axis(size=axis.dim_value) if axis.dim_value else Axis(name=axis.dim_param) for axis in kind.shape.dim]
    return TensorSpec(name=value.name, dtype=DATA_TYPES[kind.elem_type], shape=axes)
