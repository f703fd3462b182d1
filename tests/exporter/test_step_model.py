"""A step graph is judged by what it says of a text read from fresh states on."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from rhapsode.v1.bundle_pb2 import Graph, GraphRole, StatePair, Vocabulary
from rhapsode_exporter.bundle.goldens import Golden
from rhapsode_exporter.judge.step_model import StepModel, divergence, nats_per_token, write_passage
from support import graphs

SIZE, INITIAL = 5, 0.5
DRIFT = np.linspace(-0.4, 0.4, SIZE, dtype=np.float32)
TEXTS = ("a", "b", "c", "d", "e")
VOCABULARY = Vocabulary(tokens=TEXTS, start_token=0)
WINDOWS = np.array([[1, 2, 0, 4], [3, 3, 1, 0]])


def table(seed: int) -> NDArray[np.float32]:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((SIZE, SIZE), np.float32)


def drifting(logits: NDArray[np.float32], folder: Path) -> StepModel:
    """The model whose logits after t tokens are those of the last token + 0.5 + t × DRIFT."""
    nodes = [
        helper.make_node("Gather", ["table", "token"], ["row"]),
        helper.make_node("Add", ["old", "drift"], ["new"]),
        helper.make_node("Add", ["row", "new"], ["logits"]),
    ]
    inputs, outputs = [graphs.integers("token"), graphs.floats("old", SIZE)], ("logits", "new")
    made = graphs.model(
        nodes, inputs, [graphs.floats(name, SIZE) for name in outputs], {"table": logits, "drift": DRIFT}
    )
    path = folder / f"{len([*folder.iterdir()])}.onnx"
    path.write_bytes(made.SerializeToString())
    graph = Graph(states=[StatePair(input="old", output="new", initial_value=INITIAL)])
    return StepModel(path, graph, Golden(GraphRole.GRAPH_ROLE_STEP, {"old": np.zeros((33, SIZE), np.float32)}, {}))


def expected(logits: NDArray[np.float32], before: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-probabilities [W, T, SIZE] after each of the tokens [W, T]."""
    steps = np.arange(1, before.shape[1] + 1)[:, None]
    raw = logits[before].astype(np.float64) + INITIAL + steps * DRIFT
    logs: NDArray[np.float64] = raw - np.log(np.exp(raw).sum(axis=2, keepdims=True))
    return logs


def test_nats_are_those_of_every_token_after_the_one_before_it(tmp_path: Path) -> None:
    logs = expected(table(1), np.array([[2, 1, 2, 0], [2, 3, 3, 1]]))
    wanted = -np.take_along_axis(logs, WINDOWS[..., None], axis=2).mean()
    assert nats_per_token(drifting(table(1), tmp_path), WINDOWS, start=2) == pytest.approx(wanted, abs=1e-6)


def test_divergence_is_the_mean_over_all_steps(tmp_path: Path) -> None:
    one, other = (expected(table(seed), WINDOWS) for seed in (1, 2))
    wanted = (np.exp(one) * (one - other)).sum(axis=2).mean()
    reference, model = (drifting(table(seed), tmp_path) for seed in (1, 2))
    assert divergence(reference, model, WINDOWS) == pytest.approx(wanted, abs=1e-6)
    assert divergence(model, model, WINDOWS) == 0


def test_what_both_forbid_adds_nothing(tmp_path: Path) -> None:
    logits = [table(seed) for seed in (1, 2)]
    for rows in logits:
        rows[:, 3] = -np.inf
    reference, model = (drifting(rows, tmp_path) for rows in logits)
    assert 0 < divergence(reference, model, WINDOWS) < 5


def test_a_passage_follows_the_model_and_is_the_same_each_time(tmp_path: Path) -> None:
    cycle = np.full((SIZE, SIZE), -1000, np.float32)
    cycle[np.arange(SIZE), (np.arange(SIZE) + 1) % SIZE] = 0
    assert write_passage(drifting(cycle, tmp_path), VOCABULARY, 7, 0.8) == "bcdeabc"
    loose = drifting(table(1), tmp_path)
    first, again = (write_passage(loose, VOCABULARY, 50, 0.8) for _ in range(2))
    assert first == again
    assert len(set(first)) > 2


def test_after_an_end_token_the_model_begins_anew(tmp_path: Path) -> None:
    cycle = np.full((SIZE, SIZE), -1000, np.float32)
    cycle[np.arange(SIZE), (np.arange(SIZE) + 1) % SIZE] = 0
    ending = Vocabulary(tokens=TEXTS, start_token=0, end_token=2)
    assert write_passage(drifting(cycle, tmp_path), ending, 5, 0.8) == "bcbcb"
