"""ONNX graphs as other teams export them: other names, other axes, other types; and the files that describe them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

LAYERS, WIDTH, LATENT = 2, 6, 5
CHARACTERS = "\n abcdef"
SIZE = len(CHARACTERS)
Dims = list[int | str | None]

TEXT = """
name: foreign-text
version: 1
description: A test.
licence: CC0-1.0
kind: sequence
graphs:
  step:
    file: rnn.onnx
    tensors: {token: ids, logits: scores}
    states:
      - {input: memory, output: a_memory}
      - {input: ticks, output: b_ticks, initial_value: 7}
sequence:
  vocabulary: {characters: "\\n abcdef", start_token: "\\n"}
"""
PICTURES = """
name: foreign-pictures
version: 3
description: A test.
licence: CC0-1.0
kind: generator
graphs:
  decode: {file: dec.onnx, tensors: {latent: z, image: x_hat}}
latent: {size: 5, prior: uniform}
image: {height: 4, width: 6, channels: 3, low: -1, high: 1}
"""


def recurrent(
    token: Dims | None = None,
    scores: tuple[int, ...] = (-1, SIZE),
    *,
    batch: int | str | None = "N",
    token_type: int = TensorProto.INT64,
    scores_type: int = TensorProto.FLOAT,
    version: int = 20,
) -> ModelProto:
    """A stack of layers: ids, memory [2, N, 6], ticks int64 [N, 1] → scores, a_memory, b_ticks.

    `token` has the axes of ids, `scores` the shape that [N, V] is brought to.
    """
    draw = np.random.Generator(np.random.PCG64(3))
    weights: dict[str, NDArray[Any]] = {
        "flat": np.array([-1], np.int64),
        "embedding": draw.standard_normal((SIZE, WIDTH), np.float32),
        "recurrence": draw.standard_normal((LAYERS, WIDTH, WIDTH), np.float32),
        "one": np.array([1], np.int64),
        "top": np.array(LAYERS - 1, np.int64),
        "output": 3 * draw.standard_normal((WIDTH, SIZE), np.float32),
        "scores_shape": np.array(scores, np.int64),
    }
    nodes = [
        node("Reshape", "ids flat", "logits"),  # the contract's own name, for something else
        node("Gather", "embedding logits", "x"),
        node("MatMul", "memory recurrence", "mixed"),
        node("Add", "mixed x", "sum"),
        node("Tanh", "sum", "a_memory"),
        node("Add", "ticks one", "b_ticks"),
        node("Gather", "a_memory top", "highest"),
        node("MatMul", "highest output", "rows"),
        node("Reshape", "rows scores_shape", "shaped"),
        helper.make_node("Cast", ["shaped"], ["scores"], to=scores_type),
    ]
    inputs = [
        value("ids", [batch] if token is None else token, token_type),
        value("memory", [LAYERS, batch, WIDTH]),
        value("ticks", [batch, 1], TensorProto.INT64),
    ]
    outputs = [
        value("a_memory", [LAYERS, batch, WIDTH]),
        value("scores", [None if size == -1 else size for size in scores], scores_type),
        value("b_ticks", [batch, 1], TensorProto.INT64),
    ]
    return model(nodes, inputs, outputs, weights, version)


def decoder(
    latent: Dims | None = None, picture: tuple[int, ...] = (-1, 3, 4, 6), *, gain: float = 1.0, version: int = 20
) -> ModelProto:
    """z [N, 5] → x_hat = gain · tanh(z · W), brought to the shape `picture`, with a channels-last mirror of it."""
    pixels = int(-np.prod(picture))
    weights: dict[str, NDArray[Any]] = {
        "rows": np.array([-1, LATENT], np.int64),
        "expand": np.random.Generator(np.random.PCG64(5)).standard_normal((LATENT, pixels), np.float32),
        "gain": np.array(gain, np.float32),
        "shape": np.array(picture, np.int64),
    }
    nodes = [
        node("Reshape", "z rows", "flat"),
        node("MatMul", "flat expand", "wide"),
        node("Tanh", "wide", "bounded"),
        node("Mul", "bounded gain", "scaled"),
        node("Reshape", "scaled shape", "x_hat"),
    ]
    outputs = [value("x_hat", ["N", *picture[1:]])]
    return model(nodes, [value("z", latent or ["N", LATENT])], outputs, weights, version)


def model(
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    weights: Mapping[str, NDArray[Any]],
    version: int = 20,
) -> ModelProto:
    """A model of some opset out of its parts."""
    initializers = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "foreign", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def value(name: str, dims: Dims, dtype: int = TensorProto.FLOAT) -> ValueInfoProto:
    """An input or output; None is an axis without size or name."""
    return helper.make_tensor_value_info(name, dtype, dims)


def node(operator: str, inputs: str, outputs: str) -> NodeProto:
    """A node without attributes; names are separated by spaces."""
    return helper.make_node(operator, inputs.split(), outputs.split())


def write(folder: Path, description: str, **models: ModelProto) -> tuple[Path, list[Path]]:
    """Write bundle.yaml and NAME.onnx for each model; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.onnx" for name in models]
    for path, made in zip(paths, models.values(), strict=True):
        onnx.save(made, path)
    (folder / "bundle.yaml").write_text(description, encoding="utf-8")
    return folder / "bundle.yaml", paths
