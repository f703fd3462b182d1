"""The family diagonals-gan: a GAN of left diagonals that learns in seconds."""

from dataclasses import asdict
from types import MappingProxyType

import torch
from rich.table import Table
from torch import Tensor, nn

from rhapsode.v1.bundle_pb2 import DataSet, ImageSpec, Metric, StopReason
from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.data import diagonals
from rhapsode_exporter.errors import DataUnavailableError
from rhapsode_exporter.families.base import Order
from rhapsode_exporter.families.games import Exhibits, game_draft, pretraining_metric
from rhapsode_exporter.families.records import as_text, training_record
from rhapsode_exporter.judge.diagonals import share_of_left_diagonals
from rhapsode_exporter.loops.adversarial import AdversarialSettings, Played, RealPictures, train
from rhapsode_exporter.loops.generations import Generations, GenerationSettings, train_generations
from rhapsode_exporter.loops.players import Players, PlayerSettings
from rhapsode_exporter.networks.diagonals import LATENT_SIZE, DiagonalsCritic, DiagonalsGenerator
from rhapsode_exporter.networks.plain import with_plain_weights
from rhapsode_exporter.run.stop import Equilibrium, StopRule
from rhapsode_exporter.run.training import TrainingRun

TOGETHER, GENERATIONS = "together", "generations"
PLAYERS = PlayerSettings(LATENT_SIZE, batch=64, generator_rate=1e-3, critic_rate=1e-3, betas=(0.5, 0.95))
GAME = AdversarialSettings(pretraining=20, average_decay=0.99, evaluate_every=200, low=0.0)
IN_GENERATIONS = GenerationSettings()
# The game is small enough to be always quick.
RULES = MappingProxyType(
    {
        TOGETHER: StopRule(steps=2_000, equilibrium=Equilibrium(epsilon=0.1, steps=20)),
        GENERATIONS: StopRule(steps=6),
    }
)
TRAINING_PICTURES, HELD_OUT_PICTURES = 4_096, 1_024
SHOWN, WATCHED_PICTURES, JUDGED_PICTURES = 100, 1_000, 10_000
DESCRIPTION = (
    f"Pictures of 6×6 grey pixels whose left diagonal is lit, drawn from latents of {LATENT_SIZE} numbers by a small "
    "perceptron; with the critic that it was trained against."
)
DATA = DataSet(
    name="left diagonals of 6×6 pixels, drawn by a program",
    licence="CC0-1.0",
    held_out=f"{HELD_OUT_PICTURES} pictures drawn beside the training set",
)


class DiagonalsGan:
    """A GAN of two small perceptrons on 6×6 pictures."""

    name = "diagonals-gan"
    description = "small GAN of 6×6 left diagonals that learns in seconds"
    schedules = (TOGETHER, GENERATIONS)
    measures_error = False

    def train(self, order: Order) -> BundleDraft | None:
        """Play, count the true left diagonals, and describe both players."""
        if order.data is not None:
            raise DataUnavailableError(f"{self.name} makes its own data; leave --data out")
        schedule = order.schedule or TOGETHER
        chance = torch.Generator().manual_seed(order.seed)
        real = RealPictures(diagonals.draw(TRAINING_PICTURES, chance), diagonals.draw(HELD_OUT_PICTURES, chance))
        torch.manual_seed(order.seed)
        players = Players(DiagonalsGenerator(), DiagonalsCritic(), PLAYERS)
        rule = RULES[schedule]
        run = order.open_run(self.name, order.stop_rule(rule.steps, rule.equilibrium))
        settings = _settings(schedule)
        identity = settings | {"seed": str(order.seed)}
        play = _play_in_generations if schedule == GENERATIONS else _play_together
        played = play(run, players, real, identity)
        if played.outcome.stop.reason == StopReason.STOP_REASON_INTERRUPTED:
            return None
        return game_draft(
            self.name,
            DESCRIPTION,
            DATA.licence,
            Exhibits(played.generator, with_plain_weights(players.critic), (_latents(SHOWN, 0),), real.training),
            ImageSpec(height=diagonals.SIDE, width=diagonals.SIDE, channels=1, low=0.0, high=1.0),
            training_record(DATA, settings, order.seed, played.outcome),
            (_figure(played.generator), pretraining_metric(played.figures.pretrained_accuracy)),
        )


def _settings(schedule: str) -> dict[str, str]:
    """What is trained, as text."""
    how = asdict(IN_GENERATIONS) if schedule == GENERATIONS else asdict(GAME)
    return as_text(asdict(PLAYERS) | how | {"schedule": schedule, "data": DATA.name})


def _play_together(run: TrainingRun, players: Players, real: RealPictures, identity: dict[str, str]) -> Played:
    return train(run, players, real, GAME, identity, (_latents(SHOWN, 0),), _watch)


def _play_in_generations(run: TrainingRun, players: Players, real: RealPictures, identity: dict[str, str]) -> Played:
    generations = train_generations(run, players, real, IN_GENERATIONS, identity, _latents(SHOWN, 0), _watch)
    run.console.print(acceptance_table(generations))
    return generations.played


def acceptance_table(generations: Generations) -> Table:
    """Which critic accepts what share of whose pictures."""
    names = [f"G{number}" for number in range(len(generations.acceptance))]
    table = Table("", *names, "real", title="pictures of G that critic C accepts")
    for number, row in enumerate(generations.acceptance):
        table.add_row(f"C{number}", *(f"{share:.0%}" for share in row))
    return table


def _watch(generator: nn.Module) -> dict[str, float]:
    return {"left_diagonals": _share(generator, WATCHED_PICTURES)}


def _figure(generator: nn.Module) -> Metric:
    """The share of true left diagonals beside that of the program that draws the real ones."""
    real = diagonals.draw(JUDGED_PICTURES, torch.Generator().manual_seed(1))
    return Metric(
        name="left_diagonals_share",
        value=_share(generator, JUDGED_PICTURES),
        higher_is_better=True,
        baseline=share_of_left_diagonals(real),
        baseline_name="real pictures",
        description="share of pictures in which all pixels of the left diagonal are above 0.5 and no other is",
    )


@torch.no_grad()
def _share(generator: nn.Module, count: int) -> float:
    return share_of_left_diagonals(generator(_latents(count, 1)))


def _latents(count: int, seed: int) -> Tensor:
    return torch.randn(count, LATENT_SIZE, generator=torch.Generator().manual_seed(seed))
