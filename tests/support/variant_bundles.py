"""Bundles made to break the promise of equal bytes, and one that differs from them in that alone."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from support import graphs
from support.bundles import CHARACTERS, STEP, Draft, declare, stepper

WIDTH = 41  # odd, so that a row's place decides how its first numbers lie in memory, and ReduceMean begins with those


def quantised(draft: Draft) -> Draft:
    """The same with the weights of its MatMuls in int8, and scales of activations taken over all rows of a run."""
    # Not at the top: ONNX Runtime's telemetry is off only where the server's own import comes first.
    from onnxruntime import quantization

    with tempfile.TemporaryDirectory() as folder:
        for role, model in draft.graphs.items():
            path = Path(folder) / f"{role}.onnx"
            quantization.quantize_dynamic(model, path, op_types_to_quantize=["MatMul"])
            draft.graphs[role] = onnx.load(path)
            draft.graph(role).tolerance = 10.0  # of numbers on which no two batches agree
    return draft


def min_gru(name: str, *, normalised: bool) -> Draft:
    """A minGRU (Feng et al. 2024), with RMSNorm (Zhang and Sennrich 2019) before its logits or without.

    h′ = (1 − z) h + z h̃, where z = σ(W x) and h̃ = V x; RMSNorm divides by the root of the mean of squares.
    """
    draft = stepper(name)
    draft.graphs[STEP] = _min_gru(normalised)
    declared = draft.graph(STEP)
    declared.CopyFrom(declare(STEP, draft.graphs[STEP]))
    declared.states.add(input="h_in", output="h_out")
    return draft


def _min_gru(normalised: bool) -> onnx.ModelProto:
    nodes = [
        _node("Gather", "embedding token", "x"),
        _node("MatMul", "x gate", "gated"),
        _node("Sigmoid", "gated", "z"),
        _node("MatMul", "x candidate", "h_new"),
        _node("Sub", "one z", "kept"),
        _node("Mul", "kept h_in", "old"),
        _node("Mul", "z h_new", "new"),
        _node("Add", "old new", "h_out"),
        *(_rms_norm("h_out", "features") if normalised else [_node("Identity", "h_out", "features")]),
        _node("MatMul", "features to_logits", "logits"),
    ]
    inputs = [graphs.integers("token"), graphs.floats("h_in", WIDTH)]
    outputs = [graphs.floats("logits", len(CHARACTERS)), graphs.floats("h_out", WIDTH)]
    return graphs.model(nodes, inputs, outputs, _weights(normalised))


def _rms_norm(source: str, target: str) -> list[NodeProto]:
    return [
        _node("Mul", f"{source} {source}", "squares"),
        _node("ReduceMean", "squares last", "mean"),
        _node("Add", "mean epsilon", "above_zero"),
        _node("Sqrt", "above_zero", "root"),
        _node("Div", f"{source} root", target),
    ]


def _weights(normalised: bool) -> dict[str, NDArray[Any]]:
    generator = np.random.Generator(np.random.PCG64(WIDTH))
    shapes = {
        "embedding": (len(CHARACTERS), WIDTH),
        "gate": (WIDTH, WIDTH),
        "candidate": (WIDTH, WIDTH),
        "to_logits": (WIDTH, len(CHARACTERS)),
    }
    weights: dict[str, NDArray[Any]] = {
        name: generator.standard_normal(shape, np.float32) / np.float32(4) for name, shape in shapes.items()
    }
    weights["one"] = np.array(1, np.float32)
    if normalised:
        weights |= {"last": np.array([-1], np.int64), "epsilon": np.array(1e-6, np.float32)}
    return weights


def _node(operator: str, inputs: str, output: str) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output])
