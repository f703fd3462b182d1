"""A bundle's step or decode graph in ONNX Runtime, as a user of any server would open it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Tokens = NDArray[np.int64]
States = list[NDArray[Any]]

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


@dataclass(frozen=True, slots=True)
class _State:
    """A state by the names of its input and output, and the row that it starts from."""

    input: str
    output: str
    first: NDArray[Any]


class Stepper:
    """A step graph: token and states in, logits and states out."""

    def __init__(self, models: Path, name: str) -> None:
        folder, manifest = _newest(models / name)
        graph = _graph(manifest, "GRAPH_ROLE_STEP")
        self._session = _open(folder / graph["file"])
        inputs = {node.name: node for node in self._session.get_inputs()}
        self._states = [
            _State(pair["input"], pair["output"], _first_row(inputs[pair["input"]], pair.get("initial_value", 0.0)))
            for pair in graph["states"]
        ]
        self._outputs = ["logits", *(state.output for state in self._states)]
        self.start_token = int(manifest["sequence"]["vocabulary"].get("start_token", 0))

    def begin(self, rows: int) -> States:
        """States of `rows` new texts: arrays of [rows, …], in the order of the manifest."""
        return [np.repeat(state.first, rows, axis=0) for state in self._states]

    def step(self, tokens: Tokens, states: States) -> tuple[Floats, States]:
        """Run once: tokens [rows] and states → logits [rows, vocabulary] and the next states."""
        feeds = {state.input: values for state, values in zip(self._states, states, strict=True)}
        logits, *after = self._session.run(self._outputs, {**feeds, "token": tokens})
        return logits, after


class Decoder:
    """A decode graph: latents in, pictures out."""

    def __init__(self, models: Path, name: str) -> None:
        folder, manifest = _newest(models / name)
        self._session = _open(folder / _graph(manifest, "GRAPH_ROLE_DECODE")["file"])
        image = manifest["image"]
        self.latent_size = int(manifest["latent"]["size"])
        self.picture_shape = (int(image["channels"]), int(image["height"]), int(image["width"]))

    def decode(self, latents: Floats) -> Floats:
        """Latents [rows, size] → pictures [rows, channels, height, width]."""
        (pictures,) = self._session.run(["image"], {"latent": latents})
        return np.asarray(pictures)


def uniforms(seed: int, count: int) -> Floats:
    """The uniform numbers in [0, 1) that draw a text's tokens, float32 [count]."""
    return np.random.default_rng(seed).random(count, dtype=np.float32)


def draw(logits: Floats, uniform: Floats) -> Tokens:
    """One token a row at temperature 1, by inversion of the cumulative weights: logits [rows, vocabulary] → [rows]."""
    reached = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
    passed = (reached <= uniform[:, None] * reached[:, -1:]).sum(axis=1)
    return np.asarray(np.minimum(passed, logits.shape[1] - 1))


def _newest(folder: Path) -> tuple[Path, dict[str, Any]]:
    newest = max(folder.iterdir(), key=lambda version: int(version.name))
    return newest, json.loads((newest / "bundle.json").read_text(encoding="utf-8"))


def _graph(manifest: dict[str, Any], role: str) -> dict[str, Any]:
    return next(graph for graph in manifest["graphs"] if graph["role"] == role)


def _open(file: Path) -> "ort.InferenceSession":
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _first_row(node: "ort.NodeArg", value: float) -> NDArray[Any]:
    """The row [1, …] of an input whose first axis is the batch."""
    return np.full((1, *(size for size in node.shape[1:])), value, dtype=_DTYPES[node.type])
