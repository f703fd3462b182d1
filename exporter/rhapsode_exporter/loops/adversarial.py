"""The training loop of adversarial games (Goodfellow et al. 2014)."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rhapsode_exporter.loops.averaging import MovingAverage
from rhapsode_exporter.loops.checkup import examine
from rhapsode_exporter.loops.equilibrium import probe
from rhapsode_exporter.loops.losses import LOSSES
from rhapsode_exporter.loops.players import Players, frozen
from rhapsode_exporter.loops.symptoms import MEANING, Watcher
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.stop import Equilibrium, Gains, Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(frozen=True, slots=True)
class AdversarialSettings:
    """How a game is played; a step is `critic_steps` of the critic and one of the generator."""

    # Steps of the critic alone before the generator's first.
    pretraining: int = 100
    critic_steps: int = 1
    average_decay: float = 0.999
    evaluate_every: int = 250
    # Pictures lie in [low, 1].
    low: float = -1.0


@dataclass(frozen=True, slots=True)
class RealPictures:
    """Pictures [N, C, H, W] to learn from, and others that tell how well the critic knows the kind."""

    training: Tensor
    held_out: Tensor
    # The classes [N] of the training pictures, for a critic that learns them too.
    labels: Tensor | None = None


@dataclass(slots=True)
class Figures:
    """The losses in nats and gains seen last, and the critic's accuracy before the generator's first step."""

    generator: float = math.nan
    critic: float = math.nan
    pretrained_accuracy: float = math.nan
    gains: Gains | None = None

    def losses(self) -> dict[str, float]:
        """The two losses, as far as they are known."""
        losses = {"generator": self.generator, "critic": self.critic}
        return {name: loss for name, loss in losses.items() if not math.isnan(loss)}

    def state_dict(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take figures over; those of an older checkpoint have no gains."""
        self.generator, self.critic = state_dict["generator"], state_dict["critic"]
        self.pretrained_accuracy = state_dict["pretrained_accuracy"]
        gains = state_dict.get("gains")
        self.gains = Gains(**gains) if gains else None


@dataclass(frozen=True, slots=True)
class Played:
    """What a game left: why it ended, the averaged generator in evaluation mode, the figures."""

    outcome: Outcome
    generator: nn.Module
    figures: Figures


def train(
    run: TrainingRun,
    players: Players,
    real: RealPictures,
    settings: AdversarialSettings,
    identity: dict[str, str],
    samples: tuple[Tensor, ...],
    measure: Callable[[nn.Module], dict[str, float]],
) -> Played:
    """Play until the stop rule fires or a person interrupts; the critic is then in evaluation mode.

    `identity` says what is trained, for the checkpoint; `samples` are inputs of the generator, latents [N, D] first,
    whose pictures are kept as it learns; `measure` gives figures of the averaged generator for the history.
    """
    average, chance, figures = MovingAverage(players.generator, settings.average_decay), Chance(run.seed), Figures()
    watcher = Watcher()
    parts: dict[str, Stateful] = {
        "players": players,
        "average": average,
        "chance": chance,
        "figures": figures,
        "watcher": watcher,
    }
    start = run.folder.restore(parts, identity)
    step, watch = start.step, Stopwatch(start.seconds)

    def look() -> Reading:
        """Measure, write down what was seen, and keep a checkpoint."""
        seen = figures.losses()
        if step > 0:
            seen |= _probed(players, real, figures, run.rule.equilibrium, chance)
            seen |= _examined(players, real, watcher, chance, lambda text: progress.note(f"step {step}: {text}"))
        run.folder.record(HistoryRow(step, watch.seconds(), seen | measure(average.network)))
        with torch.no_grad():
            write_sheet(average.network(*samples), settings.low, 1.0, run.folder.sheets / f"step-{step:06}.png")
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, watch.seconds()), parts, identity)
        return Reading(step, gains=figures.gains)

    with run.progress() as progress:
        if start == Position():
            figures.critic = pretrain(players, real, settings.pretraining, chance)
            figures.pretrained_accuracy = critic_accuracy(players, real.held_out, chance.fork())
            progress.note(f"the critic tells real from fake in {figures.pretrained_accuracy:.1%} before the first step")
        # A run that goes on from a checkpoint is judged by what it saw last: one that had reached its end stays there.
        reading = look() if start == Position() else Reading(step, gains=figures.gains)
        while (stop := run.decide(reading)) is None:
            for _ in range(settings.critic_steps):
                figures.critic = _train_critic(players, real, chance)
            figures.generator = players.train_generator(chance)
            watcher.step(figures.generator)
            average.follow(players.generator)
            step += 1
            reading = look() if step % settings.evaluate_every == 0 or step == run.rule.steps else Reading(step)
            progress.update(step, figures.losses())
    run.folder.save(Position(step, watch.seconds()), parts, identity)
    players.critic.eval()
    return Played(Outcome(stop, Position(step, watch.seconds())), average.network, figures)


def pretrain(players: Players, real: RealPictures, steps: int, chance: Chance) -> float:
    """Train the critic alone against the generator as it is; its last loss."""
    loss = math.nan
    for _ in range(steps):
        loss = _train_critic(players, real, chance)
    return loss


@torch.no_grad()
def critic_accuracy(players: Players, real: Tensor, chance: Chance) -> float:
    """The share of real pictures judged real and of as many generated ones judged fake, the mean of both.

    Where realness has no zero of its own, the middle between the means of both stands in its place.
    """
    with frozen(players.generator, players.critic):
        on_real, on_fake = players.judge(real), players.judge(players.generate(len(real), chance))
    passes = LOSSES[players.settings.loss].passes
    bar = float(on_real.mean() + on_fake.mean()) / 2 if passes is None else passes
    return 0.5 * (float((on_real > bar).double().mean()) + float((on_fake <= bar).double().mean()))


def _probed(
    players: Players, real: RealPictures, figures: Figures, rule: Equilibrium | None, chance: Chance
) -> dict[str, float]:
    """What either player would gain alone, where the stop rule asks for it."""
    if rule is None:
        return {}
    figures.gains = probe(players, real.training, rule.steps, chance)
    return {"generator_gain": figures.gains.generator, "critic_gain": figures.gains.critic}


def _examined(
    players: Players, real: RealPictures, watcher: Watcher, chance: Chance, note: Callable[[str], None]
) -> dict[str, float]:
    """The checkup's figures, and 1 for each symptom that there is; a new one is noted with its meaning."""
    checkup = examine(players, real.training, real.labels, chance)
    for symptom in watcher.look(checkup):
        note(f"{symptom}: {MEANING[symptom]}")
    return {"gradient": checkup.gradient, "diversity": checkup.diversity} | dict.fromkeys(watcher.present, 1.0)


def _train_critic(players: Players, real: RealPictures, chance: Chance) -> float:
    rows = chance.rows(len(real.training), players.settings.batch)
    labels = None if real.labels is None else real.labels[rows]
    return players.train_critic(real.training[rows], chance, labels=labels)
