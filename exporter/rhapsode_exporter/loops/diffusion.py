"""The training loop of denoising diffusion models (Ho et al. 2020)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.loops.averaging import MovingAverage
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.course import Course, Seen, follow
from rhapsode_exporter.run.folder import Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.training import Outcome, TrainingRun


@dataclass(frozen=True, slots=True)
class DiffusionSettings:
    """How a network learns to find the noise in pictures with values in [-1, 1]."""

    batch: int = 64
    learning_rate: float = 2e-3
    warm_up: int = 200
    # Steps from picture to noise.
    training_steps: int = 1000
    # Share of pictures shown without their class, for guidance (Ho & Salimans 2022).
    dropped: float = 0.1
    average_decay: float = 0.995
    evaluate_every: int = 500
    # Pictures are moved by up to so many pixels, as there are few.
    reach: int = 1
    bfloat16: bool = True


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures [N, C, H, W] in [-1, 1] with their classes [N], where these are known."""

    images: Tensor
    classes: Tensor | None = None


@dataclass(slots=True)
class _Figures(Seen):
    """The loss of the last batch; the error is that of held-out pictures."""

    loss: float = math.nan


def cosine_signal(steps: int) -> NDArray[np.float64]:
    """Share of the signal's power left after each step, [steps]: the squared cosine of an angle that grows evenly.

    After Nichol & Dhariwal 2021; the angle ends a little early, so that the picture behind the last step's noise can
    still be computed.
    """
    return np.square(np.cos(np.linspace(0.015, math.pi / 2 - 0.02, steps)))


def train(
    run: TrainingRun,
    network: nn.Module,
    none: int,
    training: Shown,
    held_out: Shown,
    settings: DiffusionSettings,
    identity: dict[str, str],
    sample: Callable[[nn.Module], Tensor],
) -> tuple[nn.Module, Outcome]:
    """Train until the stop rule fires or a person interrupts; the averaged network, in evaluation mode.

    `none` is the class id that stands for none. `identity` says what is trained, for the checkpoint; `sample` draws
    the pictures [N, C, H, W] that are kept as the network learns. The error of the stop rule is the mean squared error
    of the velocity in the held-out pictures.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form
    average = MovingAverage(network, settings.average_decay)
    optimiser, chance = torch.optim.Adam(network.parameters(), lr=settings.learning_rate), Chance(run.seed)
    figures = _Figures()
    signal = torch.from_numpy(cosine_signal(settings.training_steps)).float()

    def learn(step: int) -> None:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, run.rule.steps, settings)
        optimiser.zero_grad()
        loss = _learn(network, none, training, signal, chance, settings)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        average.follow(network)
        figures.loss = loss.item()

    def look(step: int) -> dict[str, float]:
        error = _error(average.network, held_out, signal)
        figures.measured(error)
        write_sheet(sample(average.network), -1.0, 1.0, run.folder.sheets / f"step-{step:06}.png")
        return {"held_out_error": error}

    parts: dict[str, Stateful] = {"network": network, "average": average, "optimiser": optimiser, "chance": chance}
    outcome = follow(run, parts, identity, Course(figures, settings.evaluate_every, learn, look))
    return average.network, outcome


def learning_rate(step: int, steps: int, settings: DiffusionSettings) -> float:
    """Linear warm-up, then half a cosine down to zero at `steps` (Loshchilov & Hutter 2017)."""
    warm = min(1.0, (step + 1) / settings.warm_up)
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def add_noise(images: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Pictures of which a share `signal` [N] of the power is left."""
    left = signal[:, None, None, None]
    return left.sqrt() * images + (1.0 - left).sqrt() * noise


def even_times(count: int, steps: int, chance: Chance) -> Tensor:
    """`count` training steps, each as likely as any other, but spread evenly as a set (Kingma et al. 2021)."""
    offset = torch.rand(1, generator=chance.generator)
    return ((offset + torch.arange(count) / count) % 1.0 * steps).long().clamp_max(steps - 1)


def _learn(
    network: nn.Module, none: int, training: Shown, signal: Tensor, chance: Chance, settings: DiffusionSettings
) -> Tensor:
    """The loss of one batch (Salimans & Ho 2022)."""
    network.train()
    rows = chance.rows(len(training.images), settings.batch)
    images = shift(training.images[rows], chance, settings.reach, background=-1.0)
    times, noise = even_times(settings.batch, len(signal), chance), chance.normal(*images.shape)
    asked: tuple[Tensor, ...] = ()
    if training.classes is not None:
        dropped = torch.rand(settings.batch, generator=chance.generator) < settings.dropped
        asked = (training.classes[rows].masked_fill(dropped, none),)
    noisy = add_noise(images, noise, signal[times]).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        found: Tensor = network(noisy, times.float(), *asked)
    return _loss(found.float(), noise, signal[times])


def _loss(found: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """The mean squared error of the velocity: that of the noise found, weighted by what of the signal is left, [N]."""
    return ((found - noise).square() / signal[:, None, None, None]).mean()


@torch.no_grad()
def _error(network: nn.Module, shown: Shown, signal: Tensor) -> float:
    """The loss on held-out pictures, with the same noise and times every time."""
    chance = Chance(0)
    times, noise = even_times(len(shown.images), len(signal), chance), chance.normal(*shown.images.shape)
    order = torch.randperm(len(times), generator=chance.generator)  # the pictures may be sorted by class
    inputs = [add_noise(shown.images, noise, signal[times[order]]), times[order].float()]
    inputs += [] if shown.classes is None else [shown.classes]
    parts = zip(*(torch.split(each, 250) for each in inputs), strict=True)
    found = torch.cat([network(*part) for part in parts])
    return float(_loss(found, noise, signal[times[order]]))
