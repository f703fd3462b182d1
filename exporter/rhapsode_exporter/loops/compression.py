"""The training loop of compressing autoencoders: fewer bits against fewer errors (Ballé et al. 2017)."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rhapsode_exporter.judge.pictures import mean_psnr
from rhapsode_exporter.loops.autoencoder import Pictures
from rhapsode_exporter.networks.compressor import Compressor, rounded
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun

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
class _Figures:
    """Bits and mean squared error of the last batch, and the two errors measured last."""

    bits: float = math.nan
    square: float = math.nan
    error: float | None = None
    previous: float | None = None

    def losses(self) -> dict[str, float]:
        return {"bits": self.bits, "squared_error": self.square}

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name, value in state_dict.items():
            setattr(self, name, value)

    def reading(self, step: int) -> Reading:
        """What the stop rule is to judge; on going on from a checkpoint, what it judged last."""
        return Reading(step, self.error, self.previous)


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
    parts: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "chance": chance, "figures": figures}
    start = run.folder.restore(parts, identity)
    step, watch = start.step, Stopwatch(start.seconds)

    def look() -> Reading:
        """Measure, write down what was seen, and keep a checkpoint."""
        network.eval()
        codes = network.codes(pictures.validation)
        seen = network.decode(codes)
        figures.previous, figures.error = figures.error, float((seen - pictures.validation).square().mean())
        with torch.no_grad():
            bits = float(network.prior(codes).mean())
        measured = {"validation_psnr_db": mean_psnr(seen, pictures.validation), "validation_bits": bits}
        run.folder.record(HistoryRow(step, watch.seconds(), {**figures.losses(), **measured}))
        write_sheet(seen[:SHOWN], 0.0, 1.0, run.folder.sheets / f"step-{step:06}.png")
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, watch.seconds()), parts, identity)
        return figures.reading(step)

    with run.progress() as progress:
        reading = look() if figures.error is None else figures.reading(step)
        while (stop := run.decide(reading)) is None:
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * _pace(step, run.rule.steps, settings)
            batch = pictures.training[chance.rows(len(pictures.training), settings.batch)]
            _learn(network, optimiser, batch, chance, min(1.0, step / settings.rate_warm_up), settings, figures)
            step += 1
            reading = look() if step % settings.evaluate_every == 0 or step == run.rule.steps else Reading(step)
            progress.update(step, figures.losses())
    run.folder.save(Position(step, watch.seconds()), parts, identity)
    network.eval()
    return Outcome(stop, Position(step, watch.seconds()))


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
    figures.bits, figures.square = bits.item(), squares.mean().item()
