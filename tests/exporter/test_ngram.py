"""An n-gram step graph gives the probabilities that were counted, and stays normalised whatever is left out."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_exporter.bundle.export import export_graph
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.families.ngram_graph import step_graph
from rhapsode_exporter.judge.kneser_ney import count
from rhapsode_exporter.networks.ngram import NgramStep
from rhapsode_exporter.networks.sorted_table import SortedTable
from rhapsode_exporter.ngrams.backoff import Backoff, from_kneser_ney
from rhapsode_exporter.ngrams.pruning import Candidates, Pruning

VOCABULARY = 7
TEXT = np.random.Generator(np.random.PCG64(1)).choice(VOCABULARY, 3_000, p=np.arange(1, 8) / 28)
TEXT[1::3] = (TEXT[0:-1:3] * 2 + 1) % VOCABULARY  # something to learn
OTHER = np.random.Generator(np.random.PCG64(2)).integers(0, VOCABULARY, 200)
ORDERS = pytest.mark.parametrize("order", [1, 2, 3, 5])
PRUNED = Pruning(threshold=2e-4, context_cost=2.0, widest=3)


def model(order: int, pruning: Pruning | None = None, step: float = 0.0) -> Backoff:
    return from_kneser_ney(count([TEXT], VOCABULARY, order), order, pruning, step)


def read(step: NgramStep | OnnxRuntime, order: int, text: np.ndarray) -> np.ndarray:
    """Log-probability of every token of a text but its first, fed one after another from the start."""
    state, logs = np.full((1, order - 1), VOCABULARY), []
    for token, following in pairwise(text):
        fed = {"token": np.array([token]), **({"history_in": state} if order > 1 else {})}
        if isinstance(step, NgramStep):
            logits, *left = (value.numpy() for value in step(*map(torch.from_numpy, fed.values())))
        else:
            found = step.run(fed)
            logits, *left = found["logits"], *([found["history_out"]] if order > 1 else [])
        state = left[0] if left else state
        logs.append(logits[0, following])
    return np.array(logs)


@ORDERS
def test_unpruned_tables_give_the_probabilities_of_the_judge(order: int) -> None:
    wanted = np.log(count([TEXT], VOCABULARY, order).probabilities(OTHER)[order - 1])
    np.testing.assert_allclose(model(order).read(OTHER), wanted, atol=1e-9)
    np.testing.assert_allclose(read(NgramStep(model(order), fan=4), order, OTHER), wanted[1:], atol=1e-6)


@pytest.mark.parametrize(
    ("order", "pruning", "step"), [(1, None, 0.06), (2, None, 0.0), (3, None, 0.06), (5, PRUNED, 0.06)]
)
def test_the_graph_is_the_model(order: int, step: float, pruning: Pruning | None, tmp_path: Path) -> None:
    kept = model(order, pruning, step)
    described = export_graph(step_graph(NgramStep(kept, fan=4), OTHER), tmp_path)
    assert [state.initial_value for state in described.states] == [VOCABULARY] * (order > 1)
    graph = OnnxRuntime(tmp_path / "step.onnx")
    np.testing.assert_allclose(read(graph, order, OTHER), kept.read(OTHER)[1:], atol=1e-6)


def test_the_history_is_the_last_tokens_newest_first() -> None:
    step, state = NgramStep(model(4)), torch.full((2, 3), VOCABULARY)
    for token in (1, 2, 3, 4):
        _, state = step(torch.tensor([token, 0]), state)
    assert state.tolist() == [[4, 3, 2], [0, 0, 0]]


@settings(deadline=None, max_examples=15)
@given(
    history=st.lists(st.integers(0, VOCABULARY), min_size=4, max_size=4),
    token=st.integers(0, VOCABULARY - 1),
    threshold=st.floats(0, 1e-2),
    cost=st.floats(0, 5),
    widest=st.integers(1, VOCABULARY),
)
def test_probabilities_sum_to_one_after_pruning(
    history: list[int], token: int, threshold: float, cost: float, widest: int
) -> None:
    pruned = model(5, Pruning(threshold, cost, widest), 0.06)
    logits, _ = NgramStep(pruned, fan=3)(torch.tensor([token]), torch.tensor([history]))
    assert float(logits.double().exp().sum()) == pytest.approx(1.0, abs=2e-6)
    assert max(level.widest for level in pruned.levels) <= widest


def test_a_model_without_entries_is_its_unigram() -> None:
    bare = model(3, Pruning(threshold=1.0, context_cost=0.0, widest=7))
    assert bare.entries == VOCABULARY
    logits, _ = NgramStep(bare)(torch.tensor([1]), torch.tensor([[2, 3]]))
    np.testing.assert_allclose(logits[0].numpy(), bare.unigram, atol=1e-6)


def test_pruning_takes_first_what_costs_least() -> None:
    whole = model(4)
    nats = [-model(4, Pruning(threshold, 0.0, 7)).read(TEXT).mean() for threshold in (0.0, 1e-5, 1e-4, 1e-3)]
    entries = [model(4, Pruning(threshold, 0.0, 7)).entries for threshold in (0.0, 1e-5, 1e-4, 1e-3)]
    assert entries == sorted(entries, reverse=True)
    assert nats == sorted(nats)
    assert nats[0] == pytest.approx(-whole.read(TEXT).mean(), abs=1e-3)


def test_the_loss_of_an_entry_is_what_the_model_loses() -> None:
    """One context with two entries of five tokens; without the first one the model is worse by just so much."""
    lower, chances = np.array([0.1, 0.2, 0.3, 0.3, 0.1]), np.array([0.5, 0.3])
    left = (1 - chances.sum()) / lower[2:].sum()
    whole = np.concatenate([chances, left * lower[2:]])
    without = (1 - chances[1]) / (1 - lower[1]) * lower
    without[1] = chances[1]
    found = Candidates(np.zeros(2, np.int64), np.arange(2), chances, lower[:2]).losses(np.array([0.25]))
    assert found[0] == pytest.approx(0.25 * (whole * np.log(whole / without)).sum())


@settings(deadline=None, max_examples=30)
@given(
    known=st.sets(st.integers(0, 10**12), min_size=1, max_size=60),
    asked=st.lists(st.integers(0, 10**12), min_size=1, max_size=20),
    fan=st.integers(2, 9),
)
def test_a_sorted_table_finds_what_is_there(known: set[int], asked: list[int], fan: int) -> None:
    keys = np.array([-1, *sorted(known)])
    table = SortedTable(keys, fan)
    places = table(torch.tensor([sorted(known), *[[key] * len(known) for key in asked]]))
    assert places[0].tolist() == list(range(1, len(keys)))
    assert [row[0] for row in places[1:].tolist()] == [
        int(np.searchsorted(keys, key)) if key in known else 0 for key in asked
    ]


def test_no_bits_depend_on_company(tmp_path: Path) -> None:
    graph = step_graph(NgramStep(model(5, PRUNED, 0.06), fan=4), OTHER)
    export_graph(graph, tmp_path)
    runtime = OnnxRuntime(tmp_path / "step.onnx")
    inputs = {name: tensor.numpy() for name, tensor in graph.golden_inputs.items()}
    whole = runtime.run(inputs)["logits"]
    for rows in (np.arange(1), np.arange(3), np.arange(8), (7 * np.arange(33) + 5) % 33):
        part = runtime.run({name: values[rows] for name, values in inputs.items()})["logits"]
        assert np.array_equal(part.view(np.uint32), whole[rows].view(np.uint32))


def test_the_graph_computes_no_shapes_and_names_its_tables(tmp_path: Path) -> None:
    export_graph(step_graph(NgramStep(model(5), fan=4), OTHER), tmp_path)
    graph = onnx.load(tmp_path / "step.onnx").graph
    assert {node.op_type for node in graph.node} & {
        "Shape",
        "Range",
        "ReduceMax",
        "GatherND",
        "Log",
        "Softmax",
    } == set()
    tables = {tensor.name for tensor in graph.initializer if tensor.name.endswith(".sorted")}
    assert "network.contexts.sorted" in tables
    assert len(tables) > 2
