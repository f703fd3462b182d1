"""Moves along directions in latent space, and the direction from pictures without an attribute to those with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.latents import Latent


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """So many times a direction, float32 [size]."""

    direction: Latent
    strength: float


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A direction that was fitted, float32 [size], and how well it separates what it was fitted to; 0.5 is chance."""

    vector: Latent
    separation: float


def moved(latent: Latent, moves: Sequence[Move]) -> Latent:
    """A latent after moves, one after another: latent + strength · direction, rounded to single precision each time.

    Every number is reckoned by itself, so its bits do not depend on what else is moved.
    """
    for move in moves:
        latent = latent + np.float32(move.strength) * move.direction
    return latent


def reach(moves: Sequence[Move]) -> float:
    """The furthest that moves together take any number of a latent."""
    if not moves:
        return 0.0
    return float(np.abs(moved(np.zeros_like(moves[0].direction), moves)).max())


def fit(present: Sequence[Latent], absent: Sequence[Latent]) -> Direction:
    """The difference of the means of two lists of latents, neither empty, in double precision.

    The separation is the area under the ROC curve: the share of all pairs, one of each list, of which the one that has
    the attribute lies further along the vector; a tie counts half.
    """
    vector = _mean(present) - _mean(absent)
    along, before = _projections(present, vector), _projections(absent, vector)
    wins = np.sign(along[:, None] - before[None, :])
    return Direction(vector.astype(np.float32), float((wins.mean() + 1.0) / 2.0))


def _mean(latents: Sequence[Latent]) -> NDArray[np.float64]:
    total = np.zeros(latents[0].shape, np.float64)  # one at a time: the list may be long, and its latents large
    for latent in latents:
        total += latent
    return total / len(latents)


def _projections(latents: Sequence[Latent], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([float(latent.astype(np.float64) @ vector) for latent in latents])
