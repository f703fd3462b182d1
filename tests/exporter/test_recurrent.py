"""The exported step computes what the trained network does."""

from itertools import pairwise

import pytest
import torch

from rhapsode_exporter.data.streams import Streams
from rhapsode_exporter.judge.passage import write_passage
from rhapsode_exporter.judge.text import nats_per_character
from rhapsode_exporter.networks.recurrent import CharacterNetwork, RecurrentShape, StepCell, state_names

SHAPE = RecurrentShape(vocabulary=11, embedding=5, width=7, layers=3)


@pytest.fixture
def network() -> CharacterNetwork:
    torch.manual_seed(0)
    return CharacterNetwork(SHAPE, dropout=0.5).eval()


@torch.no_grad()
def test_steps_one_by_one_equal_the_layers(network: CharacterNetwork) -> None:
    tokens = torch.randint(SHAPE.vocabulary, (20, 4))
    expected, (hidden, cell) = network(tokens, network.fresh_state(4))
    step = StepCell(network)
    states = tuple(torch.zeros(4, SHAPE.width) for _ in state_names(SHAPE))
    for token, wanted in zip(tokens, expected, strict=True):
        logits, *following = step(token, *states)
        states = tuple(following)
        torch.testing.assert_close(logits, wanted)
    for layer in range(SHAPE.layers):
        torch.testing.assert_close(states[2 * layer], hidden[layer])
        torch.testing.assert_close(states[2 * layer + 1], cell[layer])


def test_states_are_named_by_kind_and_layer() -> None:
    assert state_names(SHAPE) == ("h0", "c0", "h1", "c1", "h2", "c2")


@torch.no_grad()
def test_nats_count_every_character_once(network: CharacterNetwork) -> None:
    texts = [torch.randint(SHAPE.vocabulary, (length,)) for length in (600, 1, 257)]
    total = 0.0
    for text in texts:
        inputs = torch.cat((torch.tensor([2]), text[:-1]))[:, None]
        logits, _ = network(inputs, network.fresh_state(1))
        total += torch.nn.functional.cross_entropy(logits[:, 0], text, reduction="sum").item()
    assert nats_per_character(network, texts, start=2) == pytest.approx(total / 858, rel=1e-5)


def test_judging_leaves_a_network_in_training_mode(network: CharacterNetwork) -> None:
    network.train()
    nats_per_character(network, [torch.tensor([1, 2])], start=0)
    assert network.training


def test_a_passage_depends_on_its_seed_alone(network: CharacterNetwork) -> None:
    prompt = torch.tensor([1, 2])
    first = write_passage(network, prompt, 30, 1.0, seed=5)
    torch.rand(3)
    assert write_passage(network, prompt, 30, 1.0, seed=5) == first
    assert write_passage(network, prompt, 30, 1.0, seed=6) != first
    assert len(first) == 30


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
