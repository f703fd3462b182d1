"""The training of an adversarial game in generations, each player wholly before the next."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rhapsode_exporter.loops.adversarial import Figures, Played, RealPictures, critic_accuracy, pretrain
from rhapsode_exporter.loops.players import Players, frozen
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.sheets import write_sheet
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun

JUDGED_PICTURES = 2_000


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How long each player trains in its generation; the stop rule's steps are generations."""

    critic_steps: int = 200
    # Few: against a critic that does not answer, a generator soon learns to fool it rather than to draw.
    generator_steps: int = 20
    # Pictures of each generator that its critic's forerunner is shown.
    shown: int = 2_000


@dataclass(slots=True)
class Lineage:
    """What the generations left: each one's pictures, [JUDGED_PICTURES, …], each one's critic, and what fooled whom."""

    pictures: list[Tensor] = field(default_factory=list)
    critics: list[dict[str, Tensor]] = field(default_factory=list)
    # The fakes from which critics learn: the untrained generator's, then those that the critic of their day accepted.
    accepted: list[Tensor] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"pictures": self.pictures, "critics": self.critics, "accepted": self.accepted}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take a lineage over."""
        self.pictures, self.critics = state_dict["pictures"], state_dict["critics"]
        self.accepted = state_dict["accepted"]


@dataclass(frozen=True, slots=True)
class Generations:
    """How the run ended, and the share of each generator's pictures, and of real ones, that each critic accepts."""

    played: Played
    # acceptance[i][j]: of the pictures of generator j, or real ones in the last column, by critic i.
    acceptance: tuple[tuple[float, ...], ...]


def train_generations(
    run: TrainingRun,
    players: Players,
    real: RealPictures,
    settings: GenerationSettings,
    identity: dict[str, str],
    samples: Tensor,
    measure: Callable[[nn.Module], dict[str, float]],
) -> Generations:
    """Train one generation after the other; both players are then in evaluation mode.

    The first critic learns to tell real pictures from the untrained generator's. Each next generator, heir of the one
    before, trains against the last critic, frozen; each next critic, heir too, learns from the pictures of that
    generator which its forerunner accepted, labelled fake, together with those of earlier generations.
    """
    chance, figures, lineage = Chance(run.seed), Figures(), Lineage()
    parts: dict[str, Stateful] = {"players": players, "chance": chance, "figures": figures, "lineage": lineage}
    start = run.folder.restore(parts, identity)
    generation, watch = start.step, Stopwatch(start.seconds)

    def look() -> Reading:
        """Write down what was seen, and keep a checkpoint."""
        run.folder.record(HistoryRow(generation, watch.seconds(), figures.losses() | measure(players.generator.eval())))
        with torch.no_grad():
            write_sheet(players.generator(samples), 0.0, 1.0, run.folder.sheets / f"generation-{generation:03}.png")
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(generation, watch.seconds()), parts, identity)
        return Reading(generation)

    with run.progress() as progress:
        if start == Position():
            figures.critic = pretrain(players, real, settings.critic_steps, chance)
            figures.pretrained_accuracy = critic_accuracy(players, real.held_out, chance.fork())
            _remember(players, lineage, chance)
            lineage.accepted.append(lineage.pictures[0])
        reading = look() if generation == 0 else Reading(generation)
        while (stop := run.decide(reading)) is None:
            figures.generator = _next_generator(players, settings, chance)
            figures.critic = _next_critic(players, real.training, settings, lineage, chance)
            _remember(players, lineage, chance)
            generation += 1
            reading = look()
            progress.update(generation, figures.losses())
    players.generator.eval()
    outcome = Outcome(stop, Position(generation, watch.seconds()))
    return Generations(Played(outcome, players.generator, figures), acceptance(players, lineage, real.held_out))


def acceptance(players: Players, lineage: Lineage, real: Tensor) -> tuple[tuple[float, ...], ...]:
    """Row i: the share that critic i accepts of each generator's pictures, and of real ones last."""
    critic = players.copy().critic.eval()
    rows = []
    for weights in lineage.critics:
        critic.load_state_dict(weights)
        rows.append(tuple(_accepted_share(critic, pictures) for pictures in (*lineage.pictures, real)))
    return tuple(rows)


def _next_generator(players: Players, settings: GenerationSettings, chance: Chance) -> float:
    players.generator.train()
    loss = math.nan
    for _ in range(settings.generator_steps):
        loss = players.train_generator(chance)
    return loss


def _next_critic(
    players: Players, real: Tensor, settings: GenerationSettings, lineage: Lineage, chance: Chance
) -> float:
    with torch.no_grad(), frozen(players.generator, players.critic):
        shown = players.generate(settings.shown, chance)
        lineage.accepted.append(shown[players.judge(shown) > 0])
    fakes = torch.cat(lineage.accepted)
    size, loss = players.settings.batch, math.nan
    for _ in range(settings.critic_steps):
        fake = fakes[chance.rows(len(fakes), size)]
        loss = players.train_critic(real[chance.rows(len(real), size)], chance, fake)
    return loss


@torch.no_grad()
def _remember(players: Players, lineage: Lineage, chance: Chance) -> None:
    with frozen(players.generator, players.critic):
        lineage.pictures.append(players.generate(JUDGED_PICTURES, chance))
    lineage.critics.append({name: tensor.clone() for name, tensor in players.critic.state_dict().items()})


@torch.no_grad()
def _accepted_share(critic: nn.Module, pictures: Tensor) -> float:
    return float((critic(pictures) > 0).double().mean())
