"""The training loop of picture-to-picture networks: pix2pix (Isola et al. 2017)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.loops.averaging import MovingAverage
from rhapsode_exporter.loops.players import frozen
from rhapsode_exporter.networks.translator import PatchCritic, UNet
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.course import Course, Seen, follow
from rhapsode_exporter.run.folder import Stateful
from rhapsode_exporter.run.sheets import beside, write_sheet
from rhapsode_exporter.run.training import Outcome, TrainingRun

SHOWN = 30


@dataclass(frozen=True, slots=True)
class TranslationSettings:
    """How a network and its critic learn; a step is one of each."""

    batch: int = 16
    learning_rate: float = 1e-3
    critic_rate: float = 5e-4
    warm_up: int = 100
    # Weight of the mean absolute error beside that of passing for real.
    nearness: float = 100.0
    average_decay: float = 0.995
    evaluate_every: int = 250
    bfloat16: bool = True


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pictures [N, 1, H, W] in [0, 1], and what each is to become."""

    given: Tensor
    wanted: Tensor


@dataclass(frozen=True, slots=True)
class Lessons:
    """What there is to learn from: `draw` gives so many pairs by chance, `validation` tells how it goes."""

    draw: Callable[[int, Chance], Pairs]
    validation: Pairs


@dataclass(slots=True)
class _Figures(Seen):
    """The losses of both; the error is the mean squared one."""

    distance: float = math.nan
    passing: float = math.nan
    critic: float = math.nan


class _Learners:
    """The network with its critic, and how each learns while the other is frozen."""

    def __init__(self, network: UNet, critic: PatchCritic, settings: TranslationSettings) -> None:
        self.network = network
        self.critic = critic
        self.settings = settings
        self._learns = torch.optim.Adam(network.parameters(), settings.learning_rate, (0.5, 0.99), fused=True)
        self._judges = torch.optim.Adam(critic.parameters(), settings.critic_rate, (0.5, 0.99), fused=True)

    def learn(self, pairs: Pairs, pace: float, figures: _Figures) -> None:
        """One step of the critic, one of the network; `pace` scales the rates of both."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            made: Tensor = self.network(pairs.given)
            real, fake = self.critic(pairs.given, pairs.wanted), self.critic(pairs.given, made.detach())
        judged = 0.5 * (_told(real, 1.0) + _told(fake, 0.0))
        _step(self._judges, judged, self.settings.critic_rate * pace)
        with frozen(self.critic), torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            passing = _told(self.critic(pairs.given, made), 1.0)
        distance = (made.float() - pairs.wanted).abs().mean()
        _step(self._learns, passing + self.settings.nearness * distance, self.settings.learning_rate * pace)
        figures.distance, figures.passing, figures.critic = distance.item(), passing.item(), judged.item()

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint keeps."""
        return {"network": self.network, "critic": self.critic, "learns": self._learns, "judges": self._judges}


@dataclass(frozen=True, slots=True)
class Translated:
    """What a run left: why it ended, and the averaged network in evaluation mode."""

    outcome: Outcome
    network: nn.Module


def train(
    run: TrainingRun,
    network: UNet,
    critic: PatchCritic,
    lessons: Lessons,
    settings: TranslationSettings,
    identity: dict[str, str],
) -> Translated:
    """Train until the stop rule fires or a person interrupts.

    `identity` says what is trained, for the checkpoint. The error of the stop rule is the averaged network's mean
    squared error on the validation pairs.
    """
    learners, average = _Learners(network, critic, settings), MovingAverage(network, settings.average_decay)
    chance, figures = Chance(run.seed), _Figures()

    def learn(step: int) -> None:
        learners.learn(lessons.draw(settings.batch, chance), _pace(step, run.rule.steps, settings), figures)
        average.follow(network)

    def look(step: int) -> dict[str, float]:
        given, wanted = lessons.validation.given, lessons.validation.wanted
        made = answers(average.network, given)
        squared, distance = float((made - wanted).square().mean()), float((made - wanted).abs().mean())
        figures.measured(squared)
        shown = beside(given[:SHOWN], made[:SHOWN], wanted[:SHOWN])
        write_sheet(shown, 0.0, 1.0, run.folder.sheets / f"step-{step:06}.png")
        return {"validation_squared_error": squared, "validation_distance": distance}

    parts: dict[str, Stateful] = {**learners.parts(), "average": average, "chance": chance}
    outcome = follow(run, parts, identity, Course(figures, settings.evaluate_every, learn, look))
    return Translated(outcome, average.network)


@torch.no_grad()
def answers(network: nn.Module, given: Tensor) -> Tensor:
    """What a network in evaluation mode makes of pictures [N, 1, H, W]."""
    return torch.cat([network(part) for part in torch.split(given, 250)])


def _pace(step: int, steps: int, settings: TranslationSettings) -> float:
    """Linear warm-up, full for the first half, then straight down to zero at `steps` (as Isola et al. have it)."""
    return min(1.0, (step + 1) / settings.warm_up, 2.0 * max(0.0, 1.0 - step / steps))


def _told(realness: Tensor, truth: float) -> Tensor:
    """Mean binary cross-entropy in nats of patches that are all real or all made."""
    return F.binary_cross_entropy_with_logits(realness.float(), torch.full_like(realness, truth, dtype=torch.float))


def _step(optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimiser.step()
