"""A bundle's step graph on ONNX Runtime, and what can be judged of any: likelihood, divergence, a passage."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Graph, Vocabulary
from rhapsode_exporter.bundle.goldens import Golden
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class StepModel:
    """A step graph with its states, whose types and shapes `golden` says."""

    def __init__(self, path: Path, graph: Graph, golden: Golden) -> None:
        self._runtime = OnnxRuntime(path)
        self._pairs = {pair.input: pair.output for pair in graph.states}
        self._fresh = {
            pair.input: np.full_like(golden.inputs[pair.input][:1], pair.initial_value) for pair in graph.states
        }

    def fresh(self, rows: int) -> Tensors:
        """The states of `rows` rows before their first token."""
        return {name: np.repeat(value, rows, axis=0) for name, value in self._fresh.items()}

    def step(self, tokens: Ids, states: Tensors) -> tuple[Floats, Tensors]:
        """Log-probabilities [W, V] of what follows tokens [W], and the next states."""
        outputs = self._runtime.run({"token": tokens, **states})
        logits = outputs["logits"].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return logits, {name: outputs[output] for name, output in self._pairs.items()}

    def read(self, tokens: Ids) -> Iterator[Floats]:
        """Log-probabilities [W, V] of what follows each of the T columns of tokens [W, T], from fresh states on."""
        states = self.fresh(len(tokens))
        for column in tokens.T:
            logs, states = self.step(column, states)
            yield logs


def nats_per_token(model: StepModel, windows: Ids, start: int) -> float:
    """Mean negative log-likelihood of all tokens of the windows [W, T], before each of which stands `start`."""
    before = np.concatenate((np.full_like(windows[:, :1], start), windows[:, :-1]), axis=1)
    rows = np.arange(len(windows))
    total = sum(-logs[rows, tokens].sum() for logs, tokens in zip(model.read(before), windows.T, strict=True))
    return float(total / windows.size)


def divergence(reference: StepModel, model: StepModel, tokens: Ids) -> float:
    """Mean Kullback–Leibler divergence in nats of the model's distributions from the reference's, reading [W, T]."""
    total = 0.0
    for wanted, found in zip(reference.read(tokens), model.read(tokens), strict=True):
        possible = wanted != -np.inf  # what a model forbids adds nothing
        total += float((np.exp(wanted[possible]) * (wanted[possible] - found[possible])).sum())
    return total / tokens.size


def write_passage(model: StepModel, vocabulary: Vocabulary, length: int, temperature: float) -> str:
    """`length` tokens drawn after the start token from softmax(logits / temperature), the same ones each time.

    After an end token the model begins anew.
    """
    random, start = np.random.Generator(np.random.PCG64(0)), vocabulary.start_token
    end = vocabulary.end_token if vocabulary.HasField("end_token") else None
    states, token, drawn = model.fresh(1), start, []
    for _ in range(length):
        logs, states = model.step(np.array([token]), states)
        sums = np.cumsum(np.exp((logs[0] - logs.max()) / temperature))
        token = int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
        drawn.append(vocabulary.tokens[token])
        if token == end:
            states, token = model.fresh(1), start
    return "".join(drawn)
