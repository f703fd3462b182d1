"""The exported step computes what the trained network does."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import onnx
import pytest
import torch

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.bundle.draft import GraphDraft, StateNames
from rhapsode_exporter.bundle.export import export_graph
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.data.streams import Streams
from rhapsode_exporter.judge.text import nats_per_character
from rhapsode_exporter.networks.mingru import recurrence
from rhapsode_exporter.networks.recurrent import CharacterNetwork, RecurrentShape, StepCell, state_names

SHAPE = RecurrentShape(vocabulary=11, embedding=5, width=7, layers=3)
GRU = replace(SHAPE, cell="gru")
MINGRU = replace(SHAPE, cell="mingru")


@pytest.fixture(params=[SHAPE, GRU, MINGRU], ids=["lstm", "gru", "mingru"])
def network(request: pytest.FixtureRequest) -> CharacterNetwork:
    torch.manual_seed(0)
    return CharacterNetwork(request.param, dropout=0.5).eval()


@torch.no_grad()
def test_steps_one_by_one_equal_the_layers(network: CharacterNetwork) -> None:
    tokens = torch.randint(SHAPE.vocabulary, (20, 4))
    expected, after = network(tokens, network.fresh_state(4))
    step = StepCell(network)
    states = tuple(torch.zeros(4, SHAPE.width) for _ in state_names(network.shape))
    for token, wanted in zip(tokens, expected, strict=True):
        logits, *following = step(token, *states)
        states = tuple(following)
        torch.testing.assert_close(logits, wanted)
    wanted_states = [state[layer] for layer in range(SHAPE.layers) for state in after]
    for found, wanted in zip(states, wanted_states, strict=True):
        torch.testing.assert_close(found, wanted)


def step_draft(network: CharacterNetwork, tokens: torch.Tensor, states: torch.Tensor) -> GraphDraft:
    """The step of a network, with tokens [33] and states [states, 33, width] as its goldens."""
    names = [StateNames(f"{name}_in", f"{name}_out") for name in state_names(network.shape)]
    inputs = {"token": tokens} | {pair.input: state for pair, state in zip(names, states, strict=True)}
    outputs = ("logits", *(pair.output for pair in names))
    return GraphDraft(GraphRole.GRAPH_ROLE_STEP, StepCell(network), inputs, outputs, tuple(names))


@torch.no_grad()
def test_the_exported_step_equals_the_layers(network: CharacterNetwork, tmp_path: Path) -> None:
    tokens = torch.randint(SHAPE.vocabulary, (33,))
    states = torch.randn(len(state_names(network.shape)), 33, SHAPE.width)
    draft = step_draft(network, tokens, states)
    export_graph(draft, tmp_path)
    given = {name: value.numpy() for name, value in draft.golden_inputs.items()}
    found = OnnxRuntime(tmp_path / "step.onnx").run(given)
    kinds = len(network.shape.kinds)
    before = tuple(states[kind::kinds].contiguous() for kind in range(kinds))
    logits, after = network(tokens[None], before)
    wanted = [logits[0], *(state[layer] for layer in range(SHAPE.layers) for state in after)]
    for name, value in zip(draft.outputs, wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(found[name]), value)


@torch.no_grad()
def test_a_gru_has_two_products_a_layer_and_no_shape_nodes(tmp_path: Path) -> None:
    states = torch.zeros(GRU.layers, 33, GRU.width)
    export_graph(step_draft(CharacterNetwork(GRU), torch.zeros(33, dtype=torch.int64), states), tmp_path)
    nodes = Counter(node.op_type for node in onnx.load(tmp_path / "step.onnx").graph.node)
    assert nodes.keys() == {"Add", "Gather", "Gemm", "Mul", "Sigmoid", "Split", "Sub", "Tanh"}
    assert nodes["Gemm"] == 2 * GRU.layers + 1


@torch.no_grad()
def test_a_mingru_step_has_no_shape_nodes(tmp_path: Path) -> None:
    states = torch.zeros(MINGRU.layers, 33, MINGRU.width)
    export_graph(step_draft(CharacterNetwork(MINGRU), torch.zeros(33, dtype=torch.int64), states), tmp_path)
    nodes = {node.op_type for node in onnx.load(tmp_path / "step.onnx").graph.node}
    assert nodes <= {"Add", "Gather", "Gemm", "LayerNormalization", "MatMul", "Mul", "Sigmoid", "Split", "Sub"}


def test_the_recurrence_of_a_mingru_has_the_gradient_that_torch_finds() -> None:
    torch.manual_seed(0)
    keep, new, first = (torch.rand(size, requires_grad=True) for size in ((5, 2, 3), (5, 2, 3), (2, 3)))
    weights = torch.randn(5, 2, 3)
    before, walked = first, []
    for kept, added in zip(keep, new, strict=True):
        before = kept * before + added
        walked.append(before)
    wanted = torch.autograd.grad((torch.stack(walked) * weights).sum(), (keep, new, first))
    found = torch.autograd.grad((recurrence(keep, new, first) * weights).sum(), (keep, new, first))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_states_are_named_by_kind_and_layer() -> None:
    assert state_names(SHAPE) == ("h0", "c0", "h1", "c1", "h2", "c2")
    assert state_names(GRU) == state_names(MINGRU) == ("h0", "h1", "h2")


@torch.no_grad()
def test_nats_count_every_character_once(network: CharacterNetwork) -> None:
    texts = [torch.randint(SHAPE.vocabulary, (length + 1,)) for length in (600, 1, 257)]
    total = 0.0
    for text in texts:
        logits, _ = network(text[:-1, None], network.fresh_state(1))
        total += torch.nn.functional.cross_entropy(logits[:, 0], text[1:], reduction="sum").item()
    assert nats_per_character(network, texts) == pytest.approx(total / 858, rel=1e-5)


def test_judging_leaves_a_network_in_training_mode(network: CharacterNetwork) -> None:
    network.train()
    nats_per_character(network, [torch.tensor([0, 1, 2])])
    assert network.training


def test_streams_go_on_where_they_were_and_restart_each_epoch() -> None:
    text = torch.arange(100)
    streams = Streams(text, streams=3, length=8, fresh_share=0.0, seed=4)
    dealt = [streams.deal() for _ in range(streams.epoch_segments + 1)]
    for segment in dealt:
        assert torch.equal(segment.targets, (segment.inputs + 1) % 100)
    for before, after in pairwise(dealt[:-1]):
        assert torch.equal(after.inputs[0], before.targets[-1])
    assert [bool(segment.fresh.all()) for segment in dealt] == [True, False, False, False, True]


def test_streams_resume_in_the_same_place() -> None:
    streams, other = (Streams(torch.arange(100), 3, 8, 0.3, seed) for seed in (1, 2))
    streams.deal()
    other.load_state_dict(streams.state_dict())
    for _ in range(9):
        segment, same = streams.deal(), other.deal()
        assert torch.equal(segment.inputs, same.inputs)
        assert torch.equal(segment.fresh, same.fresh)


def test_a_text_too_short_for_its_streams_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fill 4 streams of 10"):
        Streams(torch.arange(40), 4, 10, 0.0, 0)
