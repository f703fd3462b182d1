"""The autoencoder's loop learns, and resuming changes nothing."""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from rhapsode.v1.bundle_pb2 import StopReason
from rhapsode_exporter.judge.pictures import mean_length, mean_normal_length, mean_psnr
from rhapsode_exporter.loops.autoencoder import AutoencoderSettings, Pictures, divergence, learning_rate, train
from rhapsode_exporter.networks.vae import Autoencoder, reparameterise
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome, TrainingRun

SETTINGS = AutoencoderSettings(batch=8, warm_up=2, divergence_warm_up=4, evaluate_every=4, bfloat16=False)


def squares(count: int) -> Tensor:
    """Pictures [count, 3, 16, 16] of one coloured half on white."""
    chance = torch.Generator().manual_seed(0)
    images = torch.ones(count, 3, 16, 16)
    images[:, :, 8:] = torch.rand(count, 3, 1, 1, generator=chance)
    return images


PICTURES = Pictures(squares(32), squares(8))


@dataclass
class StopAfter(Interrupt):
    """A person who presses Ctrl-C after so many steps."""

    steps: int

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def requested(self) -> bool:
        self.steps -= 1
        return self.steps < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        pass


def run_in(folder: Path, rule: StopRule, interrupt: Interrupt | None = None) -> TrainingRun:
    console = Console(file=io.StringIO())
    return TrainingRun("faces", RunFolder(folder), rule, 3, interrupt or Interrupt(), console)


def trained(
    folder: Path, rule: StopRule, interrupt: Interrupt | None = None, settings: AutoencoderSettings = SETTINGS
) -> tuple[Autoencoder, Outcome]:
    torch.manual_seed(1)
    network = Autoencoder(width=4, latent_size=6)
    run = run_in(folder, rule, interrupt)
    return network, train(run, network, PICTURES, settings, {"seed": "3"}, torch.zeros(4, 6))


def test_a_run_leaves_sheets_history_curves_and_a_checkpoint(tmp_path: Path) -> None:
    _, outcome = trained(tmp_path, StopRule(steps=10))
    assert outcome.stop.reason == StopReason.STOP_REASON_STEPS
    assert outcome.position.step == 10
    samples = sorted(path.name for path in (tmp_path / "sheets").glob("step-*.png"))
    assert samples == ["step-000000.png", "step-000004.png", "step-000008.png", "step-000010.png"]
    assert [row.step for row in RunFolder(tmp_path).history()] == [0, 4, 8, 10]
    assert (tmp_path / "curves.png").stat().st_size > 0
    assert (tmp_path / "checkpoint.pt").exists()


def test_reconstruction_gets_better(tmp_path: Path) -> None:
    network, _ = trained(tmp_path, StopRule(steps=150), settings=replace(SETTINGS, evaluate_every=150))
    first, last = (row.values["validation_psnr_db"] for row in RunFolder(tmp_path).history())
    assert last > first + 3.0
    assert mean_psnr(network.reconstruct(PICTURES.validation), PICTURES.validation) == pytest.approx(last, abs=1e-3)


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", StopRule(steps=10))
    _, outcome = trained(tmp_path / "parts", StopRule(steps=10), StopAfter(6))
    assert outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED
    assert outcome.position.step == 6
    resumed, outcome = trained(tmp_path / "parts", StopRule(steps=10))
    assert outcome.position.step == 10
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_error_can_end_a_run(tmp_path: Path) -> None:
    _, outcome = trained(tmp_path, StopRule(steps=10, error_below=1.0))
    assert outcome.stop.reason == StopReason.STOP_REASON_ERROR
    assert outcome.position.step == 0


def test_a_change_too_small_can_end_a_run_and_going_on_leaves_it_ended(tmp_path: Path) -> None:
    rule = StopRule(steps=10, change_below=10.0)
    for _ in range(2):
        _, outcome = trained(tmp_path, rule)
        assert outcome.stop.reason == StopReason.STOP_REASON_CHANGE
        assert outcome.position.step == 4


def test_the_rate_warms_up_and_comes_down_to_zero() -> None:
    rates = [learning_rate(step, 100, SETTINGS) for step in range(101)]
    assert rates[0] == pytest.approx(SETTINGS.learning_rate / 2)
    assert max(rates) <= SETTINGS.learning_rate
    assert rates[100] == pytest.approx(0.0)


def test_the_divergence_of_the_prior_from_itself_is_zero() -> None:
    zero, one = torch.zeros(2, 5), torch.ones(2, 5)
    assert divergence(zero, zero).tolist() == [0.0, 0.0]
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(1.0, 0.5), torch.distributions.Normal(0.0, 1.0)
    )
    log_variance = torch.full((2, 5), 0.25).log()
    assert divergence(one, log_variance).tolist() == pytest.approx([5 * float(expected)] * 2)


def test_latents_are_drawn_around_their_mean() -> None:
    mean, log_variance = torch.full((20_000, 1), 2.0), torch.full((20_000, 1), 0.25).log()
    drawn = reparameterise(mean, log_variance, torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(2.0, abs=0.02)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.02)


def test_the_ratio_is_the_mean_of_each_pictures_own() -> None:
    reference = torch.zeros(2, 1, 4, 4)
    images = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.01)])
    assert mean_psnr(images, reference) == pytest.approx(30.0, abs=1e-4)


def test_the_mean_length_of_normals_is_known() -> None:
    drawn = torch.randn(50_000, 64, generator=torch.Generator().manual_seed(0))
    assert mean_normal_length(64) == pytest.approx(mean_length(drawn), abs=0.02)


def test_a_settled_latent_space_has_the_prior_for_its_distribution() -> None:
    torch.manual_seed(3)
    network, pictures = Autoencoder(width=4, latent_size=6).eval(), torch.rand(400, 3, 16, 16)
    network.encoder.log_variance.bias.data.fill_(-8.0)
    before = network.reconstruct(pictures)
    network.settle(pictures)
    means, log_variances = (part.detach().double() for part in network.encoder(pictures))
    together = torch.cov(means.T) + log_variances.exp().mean(dim=0).diag()
    assert torch.allclose(means.mean(dim=0), torch.zeros(6, dtype=torch.double), atol=1e-2)
    assert torch.allclose(together, torch.eye(6, dtype=torch.double), atol=0.05)
    assert torch.allclose(network.reconstruct(pictures), before, atol=1e-4)
