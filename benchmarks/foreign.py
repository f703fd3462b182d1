"""A text model from elsewhere: one wide recurrent layer and a large vocabulary, written with onnx alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from rhapsode.v1 import bundle_pb2
from rhapsode_exporter.bundle.goldens import Golden, write_goldens
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.bundle.whole import seal, whole

_ROWS = 33
_STEP = bundle_pb2.GRAPH_ROLE_STEP
_OPSET, _IR = 20, 10


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of the model: a GRU layer (Cho 2014) between an embedding and logits."""

    vocabulary: int = 32_000
    embedding: int = 512
    width: int = 2_048


def write_foreign(models: Path, name: str, size: Size) -> Path:
    """Write models/NAME/1 with goldens; its folder. One that is there is left as it is."""
    folder = models / name / "1"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole(folder) as part:
        onnx.save(_model(size), part / "step.onnx")
        inputs = _golden_inputs(size)
        write_goldens([Golden(_STEP, inputs, OnnxRuntime(part / "step.onnx").run(inputs))], part)
        seal(_bundle(name, size), part)
    return folder


def _model(size: Size) -> onnx.ModelProto:
    inputs = [_value("token", TensorProto.INT64), _value("memory", TensorProto.FLOAT, size.width)]
    outputs = [
        _value("logits", TensorProto.FLOAT, size.vocabulary),
        _value("after", TensorProto.FLOAT, size.width),
    ]
    weights = [numpy_helper.from_array(values, name) for name, values in _weights(size)]
    graph = helper.make_graph(_nodes(), "step", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)


def _nodes() -> list[NodeProto]:
    """after = new + update · (memory − new), with new = tanh(of the input + reset · of the memory)."""
    lines = (
        ("Gather", "embedding token", "read"),
        ("MatMul", "read from_input", "of_input"),
        ("MatMul", "memory from_memory", "of_memory"),
        ("Split", "of_input", "reset_of_input update_of_input new_of_input"),
        ("Split", "of_memory", "reset_of_memory update_of_memory new_of_memory"),
        ("Add", "reset_of_input reset_of_memory", "reset_sum"),
        ("Sigmoid", "reset_sum", "reset"),
        ("Add", "update_of_input update_of_memory", "update_sum"),
        ("Sigmoid", "update_sum", "update"),
        ("Mul", "reset new_of_memory", "remembered"),
        ("Add", "new_of_input remembered", "new_sum"),
        ("Tanh", "new_sum", "new"),
        ("Sub", "memory new", "difference"),
        ("Mul", "update difference", "kept"),
        ("Add", "new kept", "after"),
        ("MatMul", "after to_logits", "logits"),
    )
    return [_node(kind, taken.split(), given.split()) for kind, taken, given in lines]


def _node(kind: str, taken: Sequence[str], given: Sequence[str]) -> NodeProto:
    if kind == "Split":
        return helper.make_node(kind, taken, given, axis=1, num_outputs=len(given))
    return helper.make_node(kind, taken, given)


def _weights(size: Size) -> Iterator[tuple[str, NDArray[np.float32]]]:
    generator = np.random.Generator(np.random.PCG64(size.width))
    shapes = {
        "embedding": (size.vocabulary, size.embedding),
        "from_input": (size.embedding, 3 * size.width),
        "from_memory": (size.width, 3 * size.width),
        "to_logits": (size.width, size.vocabulary),
    }
    for name, shape in shapes.items():
        scale = np.float32(1.0 if name == "embedding" else shape[0] ** -0.5)
        yield name, generator.standard_normal(shape, np.float32) * scale


def _golden_inputs(size: Size) -> Tensors:
    generator = np.random.Generator(np.random.PCG64(_ROWS))
    memory = np.tanh(generator.standard_normal((_ROWS, size.width), np.float32))
    return {"token": generator.integers(size.vocabulary, size=_ROWS), "memory": memory}


def _bundle(name: str, size: Size) -> bundle_pb2.Bundle:
    """The manifest, but for the files."""
    batch = bundle_pb2.Axis(name="batch")
    floats = bundle_pb2.DATA_TYPE_FLOAT32

    def row(tensor: str, width: int) -> bundle_pb2.TensorSpec:
        return bundle_pb2.TensorSpec(name=tensor, dtype=floats, shape=[batch, bundle_pb2.Axis(size=width)])

    token = bundle_pb2.TensorSpec(name="token", dtype=bundle_pb2.DATA_TYPE_INT64, shape=[batch])
    graph = bundle_pb2.Graph(
        role=_STEP,
        file="step.onnx",
        inputs=[token, row("memory", size.width)],
        outputs=[row("logits", size.vocabulary), row("after", size.width)],
        states=[bundle_pb2.StatePair(input="memory", output="after")],
    )
    vocabulary = bundle_pb2.Vocabulary(tokens=[f"word{number} " for number in range(size.vocabulary)], start_token=0)
    return bundle_pb2.Bundle(
        schema_version=1,
        name=name,
        version=1,
        kind=bundle_pb2.MODEL_KIND_SEQUENCE,
        description="Random weights, for benchmarks.",
        licence="CC0-1.0",
        graphs=[graph],
        sequence=bundle_pb2.SequenceSpec(vocabulary=vocabulary),
    )


def _value(name: str, kind: int, *sizes: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["batch", *sizes])
