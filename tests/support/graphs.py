"""Tiny ONNX graphs made by hand, with weights that depend on a seed alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]
Weights = dict[str, NDArray[Any]]
Value = onnx.ValueInfoProto

WIDTH = 16
LATENT = 8
SIDE = 8


def stepper(size: int, *, seed: int, nan_after: int | None = None) -> onnx.ModelProto:
    """A recurrent network of `size` tokens with the states alpha_in → zeta_out and beta_in → eta_out.

    Sorted by name, the inputs stand alpha, beta and the outputs eta (beta's), zeta (alpha's): who pairs states by
    order feeds each to the other. Both have the same shape, so nothing but the text would show it. After the token
    `nan_after` every logit is NaN.
    """
    draw = _draw(seed)
    poison = np.zeros((size, 1), np.float32)
    if nan_after is not None:
        poison[nan_after] = np.nan
    weights: Weights = {
        "embedding": draw(size, WIDTH),
        "alpha_alpha": draw(WIDTH, WIDTH) / 4,
        "beta_alpha": draw(WIDTH, WIDTH) / 4,
        "beta_beta": draw(WIDTH, WIDTH) / 4,
        "alpha_beta": draw(WIDTH, WIDTH) / 4,
        "alpha_logits": draw(WIDTH, size),
        "beta_logits": draw(WIDTH, size),
        "poison": poison,
    }
    nodes = [
        _node("Gather", "embedding token", "x"),
        *_sum_of_products("alpha", {"alpha_in": "alpha_alpha", "beta_in": "beta_alpha"}, "x"),
        _node("Tanh", "alpha", "zeta_out"),
        *_sum_of_products("beta", {"beta_in": "beta_beta", "zeta_out": "alpha_beta"}, "x"),
        _node("Sigmoid", "beta", "eta_out"),
        _node("Gather", "poison token", "poisoned"),
        *_sum_of_products("logits", {"zeta_out": "alpha_logits", "eta_out": "beta_logits"}, "poisoned"),
    ]
    inputs = [integers("token"), floats("alpha_in", WIDTH), floats("beta_in", WIDTH)]
    outputs = [floats("logits", size), floats("zeta_out", WIDTH), floats("eta_out", WIDTH)]
    return model(nodes, inputs, outputs, weights)


def decoder(channels: int, *, seed: int, classes: int = 0) -> onnx.ModelProto:
    """latent [batch, 8] (and class_id [batch] where there are classes) → image [batch, channels, 8, 8] in [-1, 1]."""
    draw = _draw(seed)
    weights: Weights = {
        "expand": draw(LATENT, 4 * 4 * 4),
        "folded": np.array([-1, 4, 4, 4], np.int64),
        "upsample": draw(4, channels, 4, 4) / 4,
    }
    inputs, nodes, source = [floats("latent", LATENT)], [], "latent"
    if classes:
        inputs.append(integers("class_id"))
        weights["class_embedding"] = 2 * draw(classes, LATENT)
        nodes = [_node("Gather", "class_embedding class_id", "offset"), _node("Add", "latent offset", "conditioned")]
        source = "conditioned"
    nodes += [
        _node("MatMul", f"{source} expand", "wide"),
        _node("Reshape", "wide folded", "square"),
        _node("Relu", "square", "active"),
        helper.make_node("ConvTranspose", ["active", "upsample"], ["raw"], strides=[2, 2], pads=[1, 1, 1, 1]),
        _node("Tanh", "raw", "image"),
    ]
    return model(nodes, inputs, [floats("image", channels, SIDE, SIDE)], weights)


def encoder(channels: int, *, seed: int) -> onnx.ModelProto:
    """image [batch, channels, 8, 8] → mean, log_variance [batch, 8]."""
    draw = _draw(seed)
    weights: Weights = {
        "kernel": draw(4, channels, 4, 4) / 8,
        "to_mean": draw(64, LATENT) / 8,
        "to_log": draw(64, LATENT) / 16,
    }
    nodes = [
        *_features(),
        _node("MatMul", "features to_mean", "mean"),
        _node("MatMul", "features to_log", "log_variance"),
    ]
    return model(
        nodes,
        [floats("image", channels, SIDE, SIDE)],
        [floats("mean", LATENT), floats("log_variance", LATENT)],
        weights,
    )


def critic(channels: int, *, seed: int, classes: int = 0) -> onnx.ModelProto:
    """image [batch, channels, 8, 8] → realness [batch] (and class_logits [batch, classes] where there are classes)."""
    draw = _draw(seed)
    weights: Weights = {
        "kernel": draw(4, channels, 4, 4) / 8,
        "judge": draw(64, 1) / 8,
        "last": np.array([1], np.int64),
    }
    nodes = [*_features(), _node("MatMul", "features judge", "column"), _node("Squeeze", "column last", "realness")]
    outputs = [floats("realness")]
    if classes:
        weights["to_classes"] = draw(64, classes) / 8
        nodes.insert(-2, _node("MatMul", "features to_classes", "class_logits"))
        outputs.append(floats("class_logits", classes))
    return model(nodes, [floats("image", channels, SIDE, SIDE)], outputs, weights)


def mirror(channels: int) -> onnx.ModelProto:
    """image [batch, channels, 8, 8] → transformed, blurred less itself, squeezed into [-1, 1]."""
    weights: Weights = {"kernel": _draw(9)(channels, channels, 3, 3) / 4}
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
        _node("Sub", "maps image", "raw"),
        _node("Tanh", "raw", "transformed"),
    ]
    shape = (channels, SIDE, SIDE)
    return model(nodes, [floats("image", *shape)], [floats("transformed", *shape)], weights)


def text_critic(size: int, longest: int, *, seed: int, classes: int, nan_token: int | None = None) -> onnx.ModelProto:
    """tokens [batch, longest], length [batch] → class_logits [batch, classes]; tokens beyond the length mean nothing.

    Of a text with the token `nan_token` every logit is NaN.
    """
    draw = _draw(seed)
    weights: Weights = {
        "embedding": draw(size, WIDTH),
        "places": np.arange(longest, dtype=np.int64)[None],
        "column": np.array([-1, 1], np.int64),
        "last": np.array([2], np.int64),
        "flat": np.array([-1, longest * WIDTH], np.int64),
        "to_logits": draw(longest * WIDTH, classes) / np.float32(np.sqrt(WIDTH)),
    }
    if nan_token is not None:
        weights["embedding"][nan_token] = np.nan
    nodes = [
        _node("Gather", "embedding tokens", "embedded"),
        _node("Reshape", "length column", "lengths"),
        _node("Less", "places lengths", "there"),
        helper.make_node("Cast", ["there"], ["shares"], to=TensorProto.FLOAT),
        _node("Unsqueeze", "shares last", "weights"),
        _node("Mul", "embedded weights", "masked"),
        _node("Reshape", "masked flat", "features"),
        _node("MatMul", "features to_logits", "class_logits"),
    ]
    return model(nodes, [integers("tokens", longest), integers("length")], [floats("class_logits", classes)], weights)


def texts(tokens: Sequence[int], rows: int, longest: int) -> dict[str, NDArray[np.int64]]:
    """What a critic of texts is fed: texts of every length, with zeros beyond it."""
    lengths = np.arange(rows, dtype=np.int64) % longest + 1
    filled = np.resize(np.array(tokens, np.int64), (rows, longest))
    return {"tokens": np.where(np.arange(longest) < lengths[:, None], filled, 0), "length": lengths}


def cipher() -> onnx.ModelProto:
    """message, key [batch, 6] → sent [batch, 6]: tensors that are no pictures."""
    nodes = [_node("Mul", "message key", "sent")]
    return model(nodes, [floats("message", 6), floats("key", 6)], [floats("sent", 6)], {})


def denoiser(*, seed: int, classes: int = 0, nan_class: int | None = None) -> onnx.ModelProto:
    """image [batch, 1, 8, 8], time [batch], class_id [batch] where there are classes → noise [batch, 1, 8, 8].

    There is a class more than are named, for none. Of the class `nan_class` every number is NaN.
    """
    draw = _draw(seed)
    size = SIDE * SIDE
    weights: Weights = {
        "mix": draw(size, size) / 8,
        "clock": draw(1, size) / 40,
        "column": np.array([-1, 1], np.int64),
        "flat": np.array([-1, size], np.int64),
        "folded": np.array([-1, 1, SIDE, SIDE], np.int64),
    }
    nodes = [
        _node("Reshape", "image flat", "pixels"),
        _node("Reshape", "time column", "hours"),
        _node("MatMul", "hours clock", "when"),
        *_sum_of_products("seen", {"pixels": "mix"}, "when"),
    ]
    inputs, source = [floats("image", 1, SIDE, SIDE), floats("time")], "seen"
    if classes:
        inputs.append(integers("class_id"))
        weights["of_class"] = draw(classes + 1, size)
        if nan_class is not None:
            weights["of_class"][nan_class] = np.nan
        nodes += [_node("Gather", "of_class class_id", "asked"), _node("Add", "seen asked", "told")]
        source = "told"
    nodes += [_node("Tanh", source, "found"), _node("Reshape", "found folded", "noise")]
    return model(nodes, inputs, [floats("noise", 1, SIDE, SIDE)], weights)


def chain(*, seed: int, classes: int) -> onnx.ModelProto:
    """One step of a Boltzmann machine of 8×8 grey pictures whose 16 hidden units are the state.

    state [batch, 16], uniform [batch, 80], class_id [batch] → next_state, image [batch, 1, 8, 8] in [0, 1].
    """
    draw = _draw(seed)
    weights: Weights = {
        "couplings": draw(WIDTH, SIDE * SIDE) / 2,
        "back": np.empty(0, np.float32),
        "of_class": draw(classes, SIDE * SIDE),
        "parts": np.array([SIDE * SIDE, WIDTH], np.int64),
        "folded": np.array([-1, 1, SIDE, SIDE], np.int64),
    }
    weights["back"] = np.ascontiguousarray(weights["couplings"].T)
    nodes = [
        _node("Gather", "of_class class_id", "bias"),
        helper.make_node("Split", ["uniform", "parts"], ["of_visible", "of_hidden"], axis=1),
        *_sum_of_products("seen", {"state": "couplings"}, "bias"),
        _node("Sigmoid", "seen", "likely"),
        _node("Reshape", "likely folded", "image"),
        *_below("of_visible", "likely", "visible"),
        _node("MatMul", "visible back", "felt"),
        _node("Sigmoid", "felt", "active"),
        *_below("of_hidden", "active", "next_state"),
    ]
    inputs = [floats("state", WIDTH), floats("uniform", SIDE * SIDE + WIDTH), integers("class_id")]
    return model(nodes, inputs, [floats("next_state", WIDTH), floats("image", 1, SIDE, SIDE)], weights)


def table() -> onnx.ModelProto:
    """index [batch] → found [batch, 2]: ONNX Runtime ends the run of an index beyond the five that there are."""
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    nodes = [helper.make_node("Cast", ["index"], ["row"], to=TensorProto.INT64), _node("Gather", "table row", "found")]
    return model(nodes, [floats("index")], [floats("found", 2)], {"table": rows})


def model(
    nodes: Sequence[NodeProto], inputs: Sequence[Value], outputs: Sequence[Value], weights: Mapping[str, NDArray[Any]]
) -> onnx.ModelProto:
    """A whole model of opset 21 out of its parts."""
    initializers = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(list(nodes), "tiny", list(inputs), list(outputs), initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def floats(name: str, *shape: int) -> Value:
    """A float32 tensor [batch, *shape]."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def integers(name: str, *shape: int) -> Value:
    """An int64 tensor [batch, *shape]."""
    return helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", *shape])


class _draw:  # noqa: N801  # used as a function that remembers where it stands
    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def __call__(self, *shape: int) -> Floats:
        return self._generator.standard_normal(shape, np.float32)


def _features() -> list[NodeProto]:
    return [
        helper.make_node("Conv", ["image", "kernel"], ["maps"], strides=[2, 2], pads=[1, 1, 1, 1]),
        _node("Relu", "maps", "active"),
        helper.make_node("Flatten", ["active"], ["features"], axis=1),
    ]


def _sum_of_products(output: str, products: Mapping[str, str], bias: str) -> list[NodeProto]:
    nodes, total = [], bias
    for index, (left, right) in enumerate(products.items(), 1):
        product, partial = f"{output}_product{index}", output if index == len(products) else f"{output}_sum{index}"
        nodes += [_node("MatMul", f"{left} {right}", product), _node("Add", f"{total} {product}", partial)]
        total = partial
    return nodes


def _below(uniform: str, probability: str, output: str) -> list[NodeProto]:
    """1 where a uniform is below a probability, else 0."""
    cast = helper.make_node("Cast", [f"{output}_drawn"], [output], to=TensorProto.FLOAT)
    return [_node("Less", f"{uniform} {probability}", f"{output}_drawn"), cast]


def _node(operator: str, inputs: str, outputs: str) -> NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split())
