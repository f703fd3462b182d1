"""The probe of an adversarial game: what either player would gain by training alone against the other, frozen."""

import torch
from torch import Tensor

from rhapsode_exporter.loops.players import Players, frozen
from rhapsode_exporter.run.chance import Chance
from rhapsode_exporter.run.stop import Gains

MEASURED_PICTURES = 512


def probe(players: Players, real: Tensor, steps: int, chance: Chance) -> Gains:
    """The fall of each player's loss in nats over `steps` steps alone, at the same pictures before and after.

    Works on copies and on a fork of `chance`: the game goes on as if nobody had looked.
    """
    return Gains(_generator_gain(players, steps, chance.fork()), _critic_gain(players, real, steps, chance.fork()))


def _generator_gain(players: Players, steps: int, chance: Chance) -> float:
    alone = players.copy()
    before = _generator_loss(alone, chance.fork())
    measured = chance.fork()
    for _ in range(steps):
        alone.train_generator(chance)
    return before - _generator_loss(alone, measured)


def _critic_gain(players: Players, real: Tensor, steps: int, chance: Chance) -> float:
    alone = players.copy()
    shown = real[chance.rows(len(real), MEASURED_PICTURES)]
    measured = chance.fork()
    before = _critic_loss(alone, shown, measured.fork())
    for _ in range(steps):
        alone.train_critic(real[chance.rows(len(real), alone.settings.batch)], chance)
    return before - _critic_loss(alone, shown, measured)


@torch.no_grad()
def _generator_loss(players: Players, chance: Chance) -> float:
    with frozen(players.generator, players.critic):
        return float(players.generator_loss(MEASURED_PICTURES, chance))


@torch.no_grad()
def _critic_loss(players: Players, real: Tensor, chance: Chance) -> float:
    with frozen(players.generator, players.critic):
        return float(players.critic_loss(real, players.generate(len(real), chance), chance))
