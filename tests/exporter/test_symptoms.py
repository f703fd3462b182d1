"""Oscillation, a vanished gradient and a collapse are recognised and named, each provoked in a tiny game."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from exporter.test_adversarial import REAL, SETTINGS, flatten, same_state, small_players
from rhapsode_exporter.loops.adversarial import AdversarialSettings, RealPictures, train
from rhapsode_exporter.loops.checkup import diversity, examine
from rhapsode_exporter.loops.players import Players, PlayerSettings
from rhapsode_exporter.loops.symptoms import Checkup, Symptom, Watcher, oscillates
from rhapsode_exporter.networks.diagonals import DiagonalsCritic, DiagonalsGenerator
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.folder import HistoryRow, RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import TrainingRun

WELL = Checkup(gradient=1.0, diversity=1.0)
STEPS = np.arange(2_048)


class Place(nn.Module):
    """A generator of one thing, the number that it learns: the Dirac-GAN of Mescheder et al. 2018."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(start))

    def forward(self, latent: Tensor) -> Tensor:
        return self.place + 0.0 * latent[:, :, None, None]


class Slope(nn.Module):
    """The linear critic of such numbers."""

    def __init__(self, *, bias: bool = False) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1, bias=bias)

    def forward(self, image: Tensor) -> Tensor:
        realness: Tensor = self.layer(image.flatten(1)).squeeze(1)
        return realness


def played(players: Players, real: Tensor, folder: Path, pretraining: int = 0) -> tuple[list[HistoryRow], str]:
    """The history of 400 steps, looked at every 100, and what was said meanwhile."""
    said = io.StringIO()
    run = TrainingRun("game", RunFolder(folder), StopRule(400), 3, Interrupt(), Console(file=said, width=200))
    samples = (torch.zeros(4, players.settings.latent_size),)
    game = AdversarialSettings(pretraining=pretraining, evaluate_every=100)
    train(run, players, RealPictures(real, real[:8]), game, {}, samples, lambda _: {"watched": 0.0})
    return RunFolder(folder).history(), said.getvalue()


def place_and_slope(slope_penalty: float = 0.0) -> Players:
    torch.manual_seed(0)
    settings = PlayerSettings(1, 4, 5e-2, 5e-2, (0.5, 0.99), real_label=1.0, slope_penalty=slope_penalty)
    return Players(Place(1.0), Slope(), settings)


def test_a_dirac_game_oscillates(tmp_path: Path) -> None:
    history, said = played(place_and_slope(), torch.zeros(16, 1, 1, 1), tmp_path)
    assert history[-1].values[Symptom.OSCILLATION] == 1.0
    assert "oscillation: the generator's loss swings" in said


def test_a_penalty_on_its_slope_ends_the_oscillation(tmp_path: Path) -> None:
    history, said = played(place_and_slope(slope_penalty=5.0), torch.zeros(16, 1, 1, 1), tmp_path)
    assert Symptom.OSCILLATION not in history[-1].values
    assert "oscillation" not in said


def test_minimax_against_a_sure_critic_leaves_no_gradient(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = PlayerSettings(1, 4, 1e-4, 1.0, loss="minimax", real_label=1.0)
    players = Players(Place(-3.0), Slope(bias=True), settings)
    history, said = played(players, torch.full((16, 1, 1, 1), 3.0), tmp_path, pretraining=300)
    assert history[1].values["gradient"] < 1e-4
    assert history[-1].values[Symptom.VANISHED_GRADIENT] == 1.0
    assert said.count("vanished_gradient: hardly any gradient") == 1


def test_a_generator_against_a_critic_that_does_not_answer_collapses(tmp_path: Path) -> None:
    torch.manual_seed(0)
    players = Players(DiagonalsGenerator(), DiagonalsCritic(), PlayerSettings(SETTINGS.latent_size, 32, 1e-2, 1e-9))
    history, said = played(players, REAL.training, tmp_path, pretraining=20)
    assert history[-1].values["diversity"] < 0.25
    assert history[-1].values[Symptom.COLLAPSE] == 1.0
    assert "collapse: the generator's pictures are nearly all alike" in said


def test_an_examination_leaves_no_trace() -> None:
    players, chance = small_players(), Chance(5)
    before, drawn = flatten(players.state_dict()), chance.generator.get_state().clone()
    found = examine(players, REAL.training, None, chance)
    assert found.gradient > 0
    assert found == examine(players, REAL.training, None, chance)
    assert same_state(before, flatten(players.state_dict()))
    assert torch.equal(drawn, chance.generator.get_state())


def test_pictures_of_classes_are_compared_within_their_class() -> None:
    """One picture for each class is no diversity, however different the classes are."""
    labels = torch.arange(20) % 2
    images = labels[:, None, None, None].float().expand(20, 1, 2, 2)
    assert diversity(images, None) == pytest.approx(0.5)
    assert diversity(images, labels) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("period", [8, 40, 300])
def test_a_rhythm_is_heard_through_noise(period: int) -> None:
    noise = 0.1 * np.random.default_rng(period).standard_normal(len(STEPS))
    assert oscillates(list(0.7 + 0.2 * np.sin(2 * np.pi * STEPS / period) + noise))


def test_noise_drift_trends_and_rest_have_no_rhythm() -> None:
    chance = np.random.default_rng(0)
    assert not any(oscillates(list(1 + 0.3 * chance.standard_normal(len(STEPS)))) for _ in range(20))
    assert not any(oscillates(list(np.cumsum(chance.standard_normal(len(STEPS))))) for _ in range(20))
    assert not oscillates(list(np.exp(-STEPS / 300)))
    assert not oscillates([0.5] * len(STEPS))
    assert not oscillates([0.1, 0.9] * 10)  # too few to tell


def test_a_symptom_is_named_when_it_begins() -> None:
    watcher, alike = Watcher(), Checkup(gradient=1.0, diversity=0.1)
    assert watcher.look(WELL) == ()
    assert watcher.look(alike) == ()  # once may be chance
    assert watcher.look(alike) == (Symptom.COLLAPSE,)
    assert watcher.look(alike) == ()
    assert watcher.present == ["collapse"]
    assert watcher.look(WELL) == ()
    assert watcher.present == []
    assert watcher.look(Checkup(gradient=5e-4, diversity=1.0)) == (Symptom.VANISHED_GRADIENT,)


def test_a_watcher_goes_on_from_a_checkpoint() -> None:
    watcher, taken = Watcher(), Watcher()
    for step in range(300):
        watcher.step(float(np.sin(step)))
    watcher.look(Checkup(gradient=2.0, diversity=0.1))
    taken.load_state_dict(watcher.state_dict())
    assert taken == watcher
    assert taken.present == ["oscillation"]
