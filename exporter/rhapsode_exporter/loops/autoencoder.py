"""The training loop of variational autoencoders (Kingma & Welling 2014)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.networks.vae import Autoencoder, reparameterise
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.course import Course, Seen, follow
from rhapsode_exporter.run.folder import RunFolder, Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.training import Outcome, TrainingRun


@dataclass(frozen=True, slots=True)
class AutoencoderSettings:
    """How an encoder and a decoder are trained together."""

    batch: int = 128
    learning_rate: float = 2e-3
    warm_up: int = 200
    # Standard deviation of a pixel around the decoder's picture: larger gives blurrier pictures and better samples.
    pixel_deviation: float = 0.25
    # How much more than 1 nat a nat of divergence counts (β-VAE, Higgins et al. 2017): more gives fewer, purer factors.
    beta: float = 1.0
    # Steps in which the divergence from the prior comes in, so that the latents find a use before they are pressed.
    divergence_warm_up: int = 500
    evaluate_every: int = 250
    bfloat16: bool = True


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures [N, 3, H, W] in [0, 1] to learn from, and others to watch the learning with."""

    training: Tensor
    validation: Tensor


@dataclass(slots=True)
class _Figures(Seen):
    """The losses are in nats per picture, the error is the mean squared one."""

    reconstruction: float = math.nan
    divergence: float = math.nan


def train(
    run: TrainingRun,
    network: Autoencoder,
    pictures: Pictures,
    settings: AutoencoderSettings,
    identity: dict[str, str],
    samples: Tensor,
) -> Outcome:
    """Train until the stop rule fires or a person interrupts; the network is then in evaluation mode.

    `identity` says what is trained, for the checkpoint; `samples` [N, D] are latents whose pictures are kept as the
    decoder learns. The error of the stop rule is the mean squared error on the validation pictures.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form
    optimiser, chance = torch.optim.Adam(network.parameters(), lr=settings.learning_rate), Chance(run.seed)
    figures = _Figures()

    def learn(step: int) -> None:
        _set_rate(optimiser, learning_rate(step, run.rule.steps, settings))
        batch = pictures.training[chance.rows(len(pictures.training), settings.batch)]
        weight = settings.beta * min(1.0, step / settings.divergence_warm_up)
        _learn(network, optimiser, batch, chance, weight, settings, figures)

    def look(step: int) -> dict[str, float]:
        network.eval()
        reconstructions = network.reconstruct(pictures.validation)
        figures.measured(float((reconstructions - pictures.validation).square().mean()))
        _keep_sheets(run.folder, step, network.decode(samples), reconstructions[: len(samples)])
        return {"validation_psnr_db": mean_psnr(reconstructions, pictures.validation)}

    parts: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "chance": chance}
    outcome = follow(run, parts, identity, Course(figures, settings.evaluate_every, learn, look))
    network.eval()
    return outcome


def learning_rate(step: int, steps: int, settings: AutoencoderSettings) -> float:
    """Linear warm-up, then half a cosine down to zero at `steps` (Loshchilov & Hutter 2017)."""
    warm = min(1.0, (step + 1) / settings.warm_up)
    return settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _weight(step: int, settings: AutoencoderSettings) -> float:
    """What a nat of divergence counts at a step."""
    return settings.beta * min(1.0, step / settings.divergence_warm_up)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback–Leibler divergence [B] in nats of diagonal normals from the standard normal."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1)


def _learn(
    network: Autoencoder,
    optimiser: torch.optim.Optimizer,
    batch: Tensor,
    chance: Chance,
    weight: float,
    settings: AutoencoderSettings,
    figures: _Figures,
) -> None:
    """One optimiser step on the evidence bound, its divergence weighted; the losses go into the figures."""
    network.train()
    batch = batch.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        mean, log_variance = network.encoder(batch)
        latent = reparameterise(mean.float(), log_variance.float(), chance.generator)
        pictures = network.decoder(latent)
    squares = (pictures.float() - batch).square().flatten(1).sum(dim=1)
    reconstruction = squares.mean() / (2 * settings.pixel_deviation**2)
    gap = divergence(mean.float(), log_variance.float()).mean()
    optimiser.zero_grad()
    (reconstruction + weight * gap).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1e4)
    optimiser.step()
    figures.reconstruction, figures.divergence = reconstruction.item(), gap.item()


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _keep_sheets(folder: RunFolder, step: int, samples: Tensor, reconstructions: Tensor) -> None:
    write_sheet(samples, 0.0, 1.0, folder.sheets / f"step-{step:06}.png")
    write_sheet(reconstructions, 0.0, 1.0, folder.sheets / f"reconstructions-{step:06}.png")
