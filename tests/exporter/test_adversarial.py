"""The adversarial loop freezes who does not move, probes without a trace, learns, and resumes exactly."""

import io
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from exporter.test_vae import StopAfter
from rhapsode.v1.bundle_pb2 import StopReason
from rhapsode_exporter.data import diagonals
from rhapsode_exporter.judge.diagonals import share_of_left_diagonals
from rhapsode_exporter.loops.adversarial import (
    AdversarialSettings,
    Figures,
    Played,
    RealPictures,
    critic_accuracy,
    pretrain,
    train,
)
from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.loops.averaging import MovingAverage
from rhapsode_exporter.loops.equilibrium import probe
from rhapsode_exporter.loops.generations import Generations, GenerationSettings, train_generations
from rhapsode_exporter.loops.players import Players, PlayerSettings, frozen
from rhapsode_exporter.networks.dcgan import MODES, STRENGTH, Critic, Generator, Modes
from rhapsode_exporter.networks.diagonals import LATENT_SIZE, DiagonalsCritic, DiagonalsGenerator
from rhapsode_exporter.networks.plain import with_plain_weights
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import Equilibrium, Gains, StopRule
from rhapsode_exporter.run.training import TrainingRun

SETTINGS = PlayerSettings(LATENT_SIZE, batch=32, generator_rate=1e-3, critic_rate=1e-3, betas=(0.5, 0.95))
GAME = AdversarialSettings(pretraining=10, average_decay=0.95, evaluate_every=4, low=0.0)
REAL = RealPictures(
    diagonals.draw(512, torch.Generator().manual_seed(0)), diagonals.draw(128, torch.Generator().manual_seed(1))
)
SAMPLES = torch.randn(9, LATENT_SIZE, generator=torch.Generator().manual_seed(2))


def small_players() -> Players:
    torch.manual_seed(0)
    return Players(DiagonalsGenerator(), DiagonalsCritic(), SETTINGS)


def convolutional_players() -> Players:
    """Players with moving statistics on both sides: batch norm here, spectral norm there."""
    torch.manual_seed(0)
    return Players(Generator(4, 24), Critic(4, classes=3), PlayerSettings(24, batch=8, critic_rate=2e-3))


def snapshot(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in tensors]


def same(left: Iterable[Tensor], right: Iterable[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


def flatten(state: object) -> list[object]:
    """All leaves of a state, in order."""
    if isinstance(state, dict):
        return [leaf for value in state.values() for leaf in flatten(value)]
    if isinstance(state, list | tuple):
        return [leaf for value in state for leaf in flatten(value)]
    return [state.clone() if isinstance(state, Tensor) else state]


def same_state(left: list[object], right: list[object]) -> bool:
    pairs = zip(left, right, strict=True)
    return all(torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b for a, b in pairs)


def run_in(folder: Path, rule: StopRule, interrupt: Interrupt | None = None) -> TrainingRun:
    return TrainingRun("game", RunFolder(folder), rule, 3, interrupt or Interrupt(), Console(file=io.StringIO()))


def watch(generator: nn.Module) -> dict[str, float]:
    with torch.no_grad():
        return {"left_diagonals": share_of_left_diagonals(generator(SAMPLES))}


def played(
    folder: Path, rule: StopRule, interrupt: Interrupt | None = None, game: AdversarialSettings = GAME
) -> tuple[Players, Played]:
    players = small_players()
    return players, train(run_in(folder, rule, interrupt), players, REAL, game, {"seed": "3"}, (SAMPLES,), watch)


def test_the_opponent_is_frozen_bit_for_bit() -> None:
    players, chance = convolutional_players(), Chance(0)
    real = torch.rand(8, 1, 28, 28) * 2 - 1
    generator, critic = players.generator, players.critic
    before = snapshot(generator.state_dict().values())
    players.train_critic(real, chance)
    assert same(before, generator.state_dict().values())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in generator.parameters())
    before, moved = snapshot(critic.state_dict().values()), snapshot(generator.parameters())
    players.train_generator(chance)
    assert same(before, critic.state_dict().values())
    assert not same(moved, generator.parameters())


def test_a_critic_learns_the_classes_of_real_pictures() -> None:
    players, chance = convolutional_players(), Chance(0)
    labels = torch.arange(8) % 3
    real = torch.full((8, 1, 28, 28), -1.0)
    for picture, label in zip(real, labels.tolist(), strict=True):
        picture[:, 8 * label : 8 * label + 8] = 1.0
    for _ in range(150):
        players.train_critic(real, chance, labels=labels)
    with torch.no_grad():
        players.critic.eval()
        scores = players.classify(real)
        assert scores.argmax(dim=1).tolist() == labels.tolist()
        assert torch.allclose(players.judge(real), scores.amax(dim=1))


def test_labels_need_a_critic_with_classes() -> None:
    with pytest.raises(TypeError, match="DiagonalsCritic has no scores"):
        small_players().train_critic(REAL.training[:4], Chance(0), labels=torch.zeros(4, dtype=torch.int64))


def test_modes_are_nearly_one_hot() -> None:
    latents = torch.randn(1_000, 24, generator=torch.Generator().manual_seed(0))
    code = Modes()(latents)
    assert torch.equal(code[:, MODES:], latents[:, MODES:])
    assert torch.equal(code[:, :MODES].argmax(dim=1), latents[:, :MODES].argmax(dim=1))
    assert float(code[:, :MODES].amax(dim=1).median()) > 0.8 * STRENGTH


def test_freezing_ends_even_where_an_error_is_raised() -> None:
    network = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match="inside"), frozen(network):
        raise RuntimeError("inside")
    assert network.weight.requires_grad


def test_a_probe_leaves_no_trace() -> None:
    players, chance = small_players(), Chance(5)
    pretrain(players, REAL, 5, chance)
    players.train_generator(chance)
    before, drawn = flatten(players.state_dict()), chance.generator.get_state().clone()
    gains = probe(players, REAL.training, 10, chance)
    assert same_state(before, flatten(players.state_dict()))
    assert torch.equal(drawn, chance.generator.get_state())
    assert gains == probe(players, REAL.training, 10, chance)
    assert math.isfinite(gains.critic)


def test_a_generator_against_a_frozen_critic_gains() -> None:
    players, chance = small_players(), Chance(5)
    pretrain(players, REAL, 50, chance)
    assert probe(players, REAL.training, 10, chance).generator > 0.1


@torch.no_grad()
def test_real_labels_are_smoothed() -> None:
    players = small_players()
    players.critic.eval()
    real, fake = REAL.training[:32], torch.zeros(32, 1, 6, 6)
    logits = players.judge(real)
    expected = -(0.9 * logits.sigmoid().log() + 0.1 * (1 - logits.sigmoid()).log()).mean()
    on_fake = -(1 - players.judge(fake).sigmoid()).log().mean()
    loss = players.critic_loss(real, fake, Chance(0))
    assert float(loss) == pytest.approx(float(0.5 * (expected + on_fake)), abs=1e-5)


def test_the_critic_is_pretrained_and_its_accuracy_kept(tmp_path: Path) -> None:
    _, outcome = played(tmp_path, StopRule(steps=4))
    assert 0.5 < outcome.figures.pretrained_accuracy <= 1.0
    knowing = small_players()
    pretrain(knowing, REAL, 100, Chance(0))
    assert critic_accuracy(knowing, REAL.held_out, Chance(1)) > 0.99


def test_a_run_leaves_sheets_history_curves_and_a_checkpoint(tmp_path: Path) -> None:
    _, outcome = played(tmp_path, StopRule(steps=10))
    assert outcome.outcome.stop.reason == StopReason.STOP_REASON_STEPS
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["step-000000.png", "step-000004.png", "step-000008.png", "step-000010.png"]
    history = RunFolder(tmp_path).history()
    assert [row.step for row in history] == [0, 4, 8, 10]
    assert set(history[-1].values) == {"generator", "critic", "gradient", "diversity", "left_diagonals"}
    assert (tmp_path / "curves.png").exists()


def test_the_game_learns_left_diagonals(tmp_path: Path) -> None:
    _, outcome = played(tmp_path, StopRule(steps=400), game=replace(GAME, pretraining=20, evaluate_every=400))
    latents = torch.randn(1_000, LATENT_SIZE, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        assert share_of_left_diagonals(outcome.generator(latents)) > 0.95


def test_equilibrium_can_end_a_game_and_going_on_leaves_it_ended(tmp_path: Path) -> None:
    for _ in range(2):
        _, outcome = played(tmp_path, StopRule(steps=20, equilibrium=Equilibrium(epsilon=100.0, steps=2)))
        assert outcome.outcome.stop.reason == StopReason.STOP_REASON_EQUILIBRIUM
        assert outcome.outcome.position.step == 4
    assert {"generator_gain", "critic_gain"} <= set(RunFolder(tmp_path).history()[-1].values)


def test_a_resumed_game_ends_with_the_same_weights(tmp_path: Path) -> None:
    rule = StopRule(steps=10, equilibrium=Equilibrium(epsilon=-100.0, steps=2))
    whole, first = played(tmp_path / "whole", rule)
    _, stopped = played(tmp_path / "parts", rule, StopAfter(6))
    assert stopped.outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED
    resumed, second = played(tmp_path / "parts", rule)
    assert second.outcome.position.step == 10
    assert same_state(flatten(whole.state_dict()), flatten(resumed.state_dict()))
    assert same(first.generator.state_dict().values(), second.generator.state_dict().values())
    assert first.figures == second.figures


def test_figures_of_an_older_checkpoint_are_taken_over() -> None:
    written = Figures(0.5, 0.25, 0.75, Gains(generator=0.1, critic=0.2))
    state, taken = written.state_dict(), Figures()
    taken.load_state_dict(state)
    assert taken == written
    taken.load_state_dict({name: value for name, value in state.items() if name != "gains"})
    assert taken == Figures(0.5, 0.25, 0.75)


def bred(folder: Path, rule: StopRule, interrupt: Interrupt | None = None) -> tuple[Players, Generations]:
    players, settings = small_players(), GenerationSettings(critic_steps=30, generator_steps=10, shown=200)
    run = run_in(folder, rule, interrupt)
    return players, train_generations(run, players, REAL, settings, {"seed": "3"}, SAMPLES, watch)


def test_generations_are_judged_by_every_critic(tmp_path: Path) -> None:
    _, generations = bred(tmp_path, StopRule(steps=3))
    table = generations.acceptance
    assert [len(row) for row in table] == [5, 5, 5, 5]
    assert all(0.0 <= share <= 1.0 for row in table for share in row)
    assert table[0][0] < 0.05
    assert table[0][-1] > 0.95
    assert table[0][1] <= table[0][2] <= table[0][3]


def test_resumed_generations_end_with_the_same_weights(tmp_path: Path) -> None:
    whole, first = bred(tmp_path / "whole", StopRule(steps=3))
    bred(tmp_path / "parts", StopRule(steps=3), StopAfter(1))
    resumed, second = bred(tmp_path / "parts", StopRule(steps=3))
    assert same_state(flatten(whole.state_dict()), flatten(resumed.state_dict()))
    assert first.acceptance == second.acceptance


def test_an_average_follows_weights_and_statistics() -> None:
    network = nn.BatchNorm1d(2)
    average = MovingAverage(network, 0.75)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.add_(4)
    average.follow(network)
    followed = {name: tensor.tolist() for name, tensor in average.network.state_dict().items()}
    assert followed["weight"] == [2.0, 2.0]
    assert followed["running_mean"] == [1.0, 1.0]
    assert followed["num_batches_tracked"] == 4
    assert not average.network.training


def test_pictures_are_shifted_each_by_itself() -> None:
    images = torch.zeros(200, 1, 9, 9)
    images[:, :, 4, 4] = 1.0
    moved = shift(images, Chance(0), reach=2, background=-1.0)
    rows, columns = moved[:, 0].amax(2).argmax(1), moved[:, 0].amax(1).argmax(1)
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}
    assert (moved.flatten(1).max(dim=1).values == 1.0).all()
    assert float(moved.min()) == -1.0
    assert torch.equal(shift(images, Chance(0), reach=0, background=-1.0), images)


def test_plain_weights_compute_the_same() -> None:
    torch.manual_seed(0)
    critic, images = Critic(4).eval(), torch.rand(5, 1, 28, 28)
    with torch.no_grad():
        before = critic(images)
        assert torch.allclose(with_plain_weights(critic)(images), before, atol=1e-6)
    assert not any("parametrizations" in name for name, _ in critic.named_parameters())
