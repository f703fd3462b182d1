"""Boltzmann machines learn what is seen together, by class; resuming changes nothing; a step is what it says."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from exporter.test_vae import StopAfter
from rhapsode.v1.bundle_pb2 import StopReason
from rhapsode_exporter.loops.boltzmann import BoltzmannSettings, Digits, train
from rhapsode_exporter.networks.boltzmann import GibbsStep, Machine
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome, TrainingRun

SIDE, CLASSES = 4, 2
SETTINGS = BoltzmannSettings(batch=40, learning_rate=0.1, decay=0.0, reach=0, evaluate_every=5)


def halves(count: int) -> Digits:
    """Pictures of which half is lit: the upper or the left one in class 0, the lower or the right one in class 1."""
    images = torch.zeros(4, 1, SIDE, SIDE)
    images[0, :, :2], images[1, :, :, :2], images[2, :, 2:], images[3, :, :, 2:] = 1, 1, 1, 1
    which = torch.arange(count) % 4
    return Digits(images[which], which // 2)


REAL = halves(40)


def trained(
    folder: Path, steps: int, top: int = 0, interrupt: Interrupt | None = None, settings: BoltzmannSettings = SETTINGS
) -> tuple[Machine, Outcome]:
    machine = Machine(SIDE * SIDE, 12, top, CLASSES)
    run = TrainingRun(
        "machine", RunFolder(folder), StopRule(steps), 3, interrupt or Interrupt(), Console(file=io.StringIO())
    )
    return machine, train(run, machine, REAL, settings, {"seed": "3"}, draw, lambda _: {})


def draw(machine: Machine, count: int = 40, steps: int = 30) -> Tensor:
    generator, step = torch.Generator().manual_seed(0), GibbsStep(machine, SIDE)
    labels = torch.arange(count) % CLASSES
    state, pictures = torch.zeros(count, 12), torch.empty(0)
    for _ in range(steps):
        state, pictures = step(state, torch.rand(count, sum(step.sizes), generator=generator), labels)
    return pictures


@pytest.mark.parametrize(("top", "pretraining"), [(0, 0.0), (6, 0.1)], ids=["restricted", "deep"])
def test_a_machine_draws_whole_halves_of_the_class_that_is_asked_for(
    tmp_path: Path, top: int, pretraining: float
) -> None:
    settings = replace(SETTINGS, pretraining=pretraining, evaluate_every=1000)
    machine, _ = trained(tmp_path, 300, top, settings=settings)
    distances = (draw(machine)[:, None] - halves(4).images[None]).abs().flatten(2).mean(dim=2)  # [40, 4]
    nearest = distances.argmin(dim=1)
    right = (nearest // 2 == torch.arange(40) % CLASSES) & (distances.min(dim=1).values < 0.15)
    assert float(right.double().mean()) > 0.8
    assert len(set(nearest.tolist())) >= 3


@pytest.mark.parametrize("top", [0, 6])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, top: int) -> None:
    settings = replace(SETTINGS, pretraining=0.2)
    whole, _ = trained(tmp_path / "whole", 20, top, settings=settings)
    _, outcome = trained(tmp_path / "parts", 20, top, StopAfter(7), settings)
    assert (outcome.stop.reason, outcome.position.step) == (StopReason.STOP_REASON_INTERRUPTED, 7)
    resumed, outcome = trained(tmp_path / "parts", 20, top, settings=settings)
    assert outcome.position.step == 20
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert [row.step for row in RunFolder(tmp_path / "parts").history()] == [5, 10, 15, 20]


def test_units_follow_their_conditional_distributions() -> None:
    """Checked against the energy itself, over all states of a machine of 2 pixels, 2 hidden and 1 top unit."""
    machine = Machine(2, 2, 1, CLASSES)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    label = torch.tensor([1])
    pixels, top = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0]])

    def energy(hidden: Tensor) -> Tensor:
        linear = hidden @ machine.hidden_bias[0] + pixels @ machine.pixel_bias[1] + top @ machine.class_bias[1]
        return -(pixels @ machine.weight @ hidden.T + (hidden @ machine.upper @ top.T).T + linear)

    states = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    weights = torch.stack([(-energy(state[None])).exp().flatten() for state in states]).flatten()
    expected = (weights[:, None] * states).sum(dim=0) / weights.sum()
    assert machine.hidden_of(pixels, top, label)[0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_free_energy_is_that_of_all_hidden_states() -> None:
    machine = Machine(3, 2, 0, CLASSES)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    pixels = torch.tensor([[1.0, 0.0, 1.0]])
    states = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    felt = pixels @ machine.weight + machine.hidden_bias + machine.class_bias  # [classes, H]
    sums = (states @ felt.T).exp().sum(dim=0).log() + (pixels @ machine.pixel_bias.T)[0]
    assert machine.log_joint(pixels)[0].tolist() == pytest.approx(sums.tolist(), abs=1e-5)


def test_a_step_draws_pixels_and_top_before_hidden_units() -> None:
    machine = Machine(SIDE * SIDE, 12, 6, CLASSES)
    machine.begin(torch.full((CLASSES, SIDE * SIDE), 0.5), torch.Generator().manual_seed(0))
    step = GibbsStep(machine, SIDE)
    assert step.sizes == [16, 6, 12]
    state, label = torch.ones(1, 12), torch.tensor([1])
    below, above = torch.zeros(1, 34), torch.ones(1, 34)
    assert step(state, below, label)[0].sum() == 12
    assert step(state, above, label)[0].sum() == 0
    assert torch.equal(step(state, below, label)[1], step(state, above, label)[1])
