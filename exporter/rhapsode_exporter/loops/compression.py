"""The training loop of compressing autoencoders: fewer bits against fewer errors (Ballé et al. 2017)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.loops.autoencoder import Pictures
from rhapsode_exporter.networks.compressor import Compressor, rounded
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.course import Course, Seen, follow
from rhapsode_exporter.run.folder import Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.training import Outcome, TrainingRun

SHOWN = 100


@dataclass(frozen=True, slots=True)
class CompressionSettings:
    """How bits and errors are weighed, and how fast the networks learn."""

    batch: int = 64
    learning_rate: float = 2e-3
    warm_up: int = 100
    # Standard deviation of a pixel around the decoder's picture: larger gives fewer bits and larger errors.
    pixel_deviation: float = 0.25
    # Steps in which the price of bits comes in, so that the latents find a use before they are pressed.
    rate_warm_up: int = 500
    evaluate_every: int = 250
    bfloat16: bool = True


@dataclass(slots=True)
class _Figures(Seen):
    """Bits and mean squared error of the last batch; the error is that of the validation pictures."""

    bits: float = math.nan
    squared_error: float = math.nan


def train(
    run: TrainingRun,
    network: Compressor,
    pictures: Pictures,
    settings: CompressionSettings,
    identity: dict[str, str],
) -> Outcome:
    """Train until the stop rule fires or a person interrupts; the network is then in evaluation mode.

    `identity` says what is trained, for the checkpoint. The error of the stop rule is the mean squared error of the
    validation pictures after rounding.
    """
    optimiser, chance = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True), Chance(run.seed)
    figures = _Figures()

    def learn(step: int) -> None:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _pace(step, run.rule.steps, settings)
        batch = pictures.training[chance.rows(len(pictures.training), settings.batch)]
        _learn(network, optimiser, batch, chance, min(1.0, step / settings.rate_warm_up), settings, figures)

    @torch.no_grad()
    def look(step: int) -> dict[str, float]:
        network.eval()
        codes = network.codes(pictures.validation)
        restored = network.decode(codes)
        figures.measured(float((restored - pictures.validation).square().mean()))
        write_sheet(restored[:SHOWN], 0.0, 1.0, run.folder.sheets / f"step-{step:06}.png")
        bits = float(network.prior(codes).mean())
        return {"validation_psnr_db": mean_psnr(restored, pictures.validation), "validation_bits": bits}

    parts: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "chance": chance}
    outcome = follow(run, parts, identity, Course(figures, settings.evaluate_every, learn, look))
    network.eval()
    return outcome


def _pace(step: int, steps: int, settings: CompressionSettings) -> float:
    """Linear warm-up, then half a cosine down to zero at `steps` (Loshchilov & Hutter 2017)."""
    return min(1.0, (step + 1) / settings.warm_up) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def _learn(
    network: Compressor,
    optimiser: torch.optim.Optimizer,
    batch: Tensor,
    chance: Chance,
    price: float,
    settings: CompressionSettings,
    figures: _Figures,
) -> None:
    """One optimiser step on errors and bits, both in nats per picture; the losses go into the figures.

    The prior sees the latent under uniform noise, whose density is that of rounding; the decoder sees it rounded
    (Minnen & Singh 2020).
    """
    network.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        mean = network.encoder(batch)[0].float()
        pictures = network.decoder(rounded(mean))
    bits = network.prior(mean + torch.rand(mean.shape, generator=chance.generator) - 0.5).mean()
    squares = (pictures.float() - batch).square().flatten(1)
    errors = squares.sum(dim=1).mean() / (2 * settings.pixel_deviation**2)
    optimiser.zero_grad()
    (errors + price * math.log(2.0) * bits).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1e4)
    optimiser.step()
    figures.bits, figures.squared_error = bits.item(), squares.mean().item()
