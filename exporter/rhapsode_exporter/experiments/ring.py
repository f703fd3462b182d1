"""The cure of mode collapse, proved: a ring of eight Gaussians learnt with and without minibatch statistics.

The same game is played for several seeds against a critic that judges every point by itself, and against one that also
sees how much the points of a minibatch deviate (Karras et al. 2018).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.table import Table
from torch import Tensor

from rhapsode_exporter.data import ring
from rhapsode_exporter.judge.ring import modes_found
from rhapsode_exporter.loops.players import Players, PlayerSettings
from rhapsode_exporter.networks.ring import LATENT_SIZE, RingCritic, RingGenerator
from rhapsode_exporter.run.chance import Chance

STEPS = 1_600
REAL_POINTS, JUDGED_POINTS, SHOWN_POINTS = 8_192, 4_000, 1_000
SETTINGS = PlayerSettings(LATENT_SIZE, batch=64, generator_rate=1e-3, critic_rate=1e-3, real_label=1.0)


@dataclass(frozen=True, slots=True)
class Played:
    """The points [JUDGED_POINTS, 2] of a generator after its game, and how many modes it found."""

    points: Tensor
    modes: int


def play(seed: int, steps: int, *, in_company: bool) -> Played:
    """One game of `steps` steps; `in_company` says whether the critic sees minibatch statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        players = Players(RingGenerator(), RingCritic(in_company=in_company), SETTINGS)
    real, chance = ring.draw(REAL_POINTS, torch.Generator().manual_seed(seed)), Chance(seed)
    for _ in range(steps):
        players.train_critic(real[chance.rows(REAL_POINTS, SETTINGS.batch)], chance)
        players.train_generator(chance)
    with torch.no_grad():
        points = players.generate(JUDGED_POINTS, chance)
    return Played(points, modes_found(points))


def compare(seeds: Sequence[int], steps: int) -> dict[bool, list[Played]]:
    """The games of all seeds without (False) and with (True) minibatch statistics."""
    return {in_company: [play(seed, steps, in_company=in_company) for seed in seeds] for in_company in (False, True)}


def as_table(games: Mapping[bool, Sequence[Played]], seeds: Sequence[int]) -> Table:
    """The modes found by every seed, and their mean."""
    table = Table("critic", *(f"seed {seed}" for seed in seeds), "mean", title=f"modes found, of {ring.MODES}")
    for in_company, played in games.items():
        mean = sum(game.modes for game in played) / len(played)
        table.add_row(_name(in_company), *(str(game.modes) for game in played), f"{mean:.1f}")
    return table


def draw(games: Mapping[bool, Sequence[Played]], seeds: Sequence[int], path: Path) -> None:
    """A PNG with the points of every game, over the centres of the modes."""
    figure = Figure(figsize=(2 * len(seeds), 4.6), dpi=100, layout="constrained")
    grid = figure.subplots(len(games), len(seeds), squeeze=False, sharex=True, sharey=True)
    for row, (in_company, played) in zip(grid, games.items(), strict=True):
        row[0].set_ylabel(_name(in_company))
        for axes, game, seed in zip(row, played, seeds, strict=True):
            axes.scatter(*ring.centres().T.numpy(), marker="+", color="black", linewidths=0.8)
            axes.scatter(*game.points[:SHOWN_POINTS].T.numpy(), s=1.5, alpha=0.5)
            axes.set(aspect="equal", title=f"seed {seed}: {game.modes} modes", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6))
    figure.savefig(path)


def _name(in_company: object) -> str:
    return "sees minibatches" if in_company else "sees single points"
