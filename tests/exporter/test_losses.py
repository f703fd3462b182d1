"""Each loss is what its paper says, moves a generator towards the real, and the penalties measure slopes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from exporter.test_adversarial import REAL, SETTINGS
from rhapsode_exporter.judge.diagonals import share_of_left_diagonals
from rhapsode_exporter.loops.adversarial import critic_accuracy, pretrain
from rhapsode_exporter.loops.losses import (
    HINGE,
    LEAST_SQUARES,
    LOSSES,
    MINIMAX,
    NONSATURATING,
    WASSERSTEIN,
    gradient_penalty,
    zero_centred_penalty,
)
from rhapsode_exporter.loops.players import Players, PlayerSettings
from rhapsode_exporter.networks.dcgan import ClassGenerator, Critic
from rhapsode_exporter.networks.diagonals import DiagonalsCritic, DiagonalsGenerator
from rhapsode_exporter.networks.minibatch import MinibatchDeviation, deviation
from rhapsode_exporter.networks.plain import with_plain_weights
from rhapsode_exporter.run.chance import Chance

REAL_SCORES, FAKE_SCORES = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 1.0])


def sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        (
            MINIMAX,
            -0.25 * math.log(sigmoid(2) * sigmoid(0) * sigmoid(2) * sigmoid(-1)),
            0.5 * (math.log(1 - sigmoid(-2)) + math.log(1 - sigmoid(1))),
        ),
        (
            NONSATURATING,
            -0.25 * math.log(sigmoid(2) * sigmoid(0) * sigmoid(2) * sigmoid(-1)),
            -0.5 * math.log(sigmoid(-2) * sigmoid(1)),
        ),
        (LEAST_SQUARES, 0.25 * (1 + 1) + 0.25 * (4 + 1), 0.25 * (9 + 0)),
        (HINGE, 0.5 * (0 + 1) + 0.5 * (0 + 2), 0.5),
        (WASSERSTEIN, -0.5 - 1.0, 0.5),
    ],
)
def test_a_loss_is_that_of_its_paper(name: str, critic: float, generator: float) -> None:
    loss = LOSSES[name]
    assert float(loss.critic(REAL_SCORES, FAKE_SCORES, 1.0)) == pytest.approx(critic, abs=1e-6)
    assert float(loss.generator(FAKE_SCORES)) == pytest.approx(generator, abs=1e-6)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_wants_more_realness(name: str) -> None:
    fake = torch.tensor([-0.5, 0.25], requires_grad=True)
    LOSSES[name].generator(fake).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert fake.grad is not None
    assert bool((fake.grad < 0).all())


def test_only_minimax_gives_up_where_the_critic_is_sure() -> None:
    for name, loss in LOSSES.items():
        fake = torch.tensor([-20.0], requires_grad=True)
        loss.generator(fake).backward()  # type: ignore[no-untyped-call]
        assert fake.grad is not None
        assert (abs(float(fake.grad)) < 1e-6) == (name == MINIMAX)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_loss_teaches_left_diagonals(name: str) -> None:
    torch.manual_seed(0)
    players = Players(DiagonalsGenerator(), DiagonalsCritic(), replace(SETTINGS, loss=name))
    chance = Chance(1)
    pretrain(players, REAL, 20, chance)
    assert 0.5 < critic_accuracy(players, REAL.held_out, chance.fork()) <= 1.0
    for _ in range(150):
        players.train_critic(REAL.training[chance.rows(len(REAL.training), 32)], chance)
        players.train_generator(chance)
    with torch.no_grad():
        assert share_of_left_diagonals(players.generate(1_000, chance)) > 0.8


class Plane(nn.Module):
    """Realness that rises by 3 along every one of 4 axes: 6 steep everywhere."""

    def forward(self, points: Tensor) -> Tensor:
        return 3.0 * points.sum(dim=1)


def test_penalties_measure_how_steep_a_critic_is() -> None:
    real, fake = torch.ones(5, 4), torch.zeros(5, 4)
    assert float(gradient_penalty(Plane(), real, fake, torch.linspace(0, 1, 5))) == pytest.approx(25.0)
    assert float(zero_centred_penalty(Plane(), real)) == pytest.approx(18.0)


def test_a_penalty_flattens_the_critic_and_leaves_its_statistics() -> None:
    torch.manual_seed(0)
    settings = PlayerSettings(64, batch=8, slope_penalty=100.0)
    players = Players(ClassGenerator(3, 4), Critic(4, classes=3), settings)
    real, labels = torch.rand(8, 1, 28, 28) * 2 - 1, torch.arange(8) % 3
    before = zero_centred_penalty(players.critic, real).item()
    for _ in range(20):
        players.train_critic(real, Chance(0), labels=labels)
    assert zero_centred_penalty(players.critic.eval(), real).item() < 0.5 * before


def test_the_class_asked_for_is_drawn() -> None:
    torch.manual_seed(0)
    players = Players(ClassGenerator(2, 4), Critic(4, classes=2), PlayerSettings(64, 16, 1e-3, 1e-3, naming=1.0))
    real = torch.full((16, 1, 28, 28), -1.0)
    real[::2, :, :, :14] = 1.0
    labels, chance = torch.arange(16) % 2, Chance(0)
    for _ in range(100):
        players.train_critic(real, chance, labels=labels)
        players.train_generator(chance)
    with torch.no_grad():
        pictures = players.generate(16, chance, labels)
    left, right = pictures[..., :14].mean(dim=(1, 2, 3)), pictures[..., 14:].mean(dim=(1, 2, 3))
    assert (left - right > 0.5).tolist() == (labels == 0).tolist()
    assert players.generate(5, chance).shape == (5, 1, 28, 28)


def test_a_batch_deviates_as_its_features_do_on_average() -> None:
    features = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    assert float(deviation(features)) == pytest.approx(0.5, abs=1e-3)
    assert float(deviation(features[:1])) == pytest.approx(0.0, abs=1e-3)


def test_in_training_a_batch_of_one_thing_is_seen_at_once() -> None:
    layer, features = MinibatchDeviation(), torch.randn(6, 3, 2, 2)
    beside = layer(features)
    assert beside.shape == (6, 4, 2, 2)
    assert torch.equal(beside[:, :3], features)
    assert float(beside[0, 3, 0, 0]) == pytest.approx(float(deviation(features)))
    assert float(layer(features[:1].expand(6, -1, -1, -1))[0, 3, 0, 0]) == pytest.approx(0.0, abs=1e-3)


def test_in_evaluation_the_mean_of_training_stands_in_its_place() -> None:
    layer = MinibatchDeviation()
    batches = [torch.randn(4, 2) * scale for scale in (1.0, 2.0, 3.0)]
    for batch in batches:
        layer(batch)
    mean = sum(float(deviation(batch)) for batch in batches) / 3
    layer.eval()
    assert float(layer(batches[2])[0, 2]) == pytest.approx(mean, rel=1e-5)
    assert int(layer.batches) == 3


def test_an_exported_score_does_not_depend_on_its_company() -> None:
    torch.manual_seed(0)
    critic, pictures = Critic(4), torch.rand(9, 1, 28, 28)
    with torch.no_grad():
        in_training = critic(pictures)
        assert not torch.allclose(critic(pictures[:1]), in_training[:1], atol=1e-6)
        plain = with_plain_weights(critic)
        together, alone = plain(pictures), torch.cat([plain(picture[None]) for picture in pictures])
        others = plain(torch.cat([pictures[:1], torch.zeros(8, 1, 28, 28)]))
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(others[:1], together[:1], atol=1e-6)
