"""Distances to nearest neighbours."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 200

Floats = NDArray[np.floating[Any]]


def nearest(points: Floats, others: Floats) -> NDArray[np.float64]:
    """The Euclidean distance [N] of each of the points [N, D] to the nearest of the others [M, D]."""
    return np.concatenate([block.min(axis=1) for block in blocks(points, others)])


def radii(points: Floats, neighbour: int) -> NDArray[np.float64]:
    """The distance [N] of each of the points [N, D] to its `neighbour`-th nearest among the rest of them."""
    if neighbour >= len(points):
        raise ValueError(f"{len(points)} points have no {neighbour}-th neighbour")
    # A point is its own nearest, at distance 0; so it is place `neighbour`, counted from 0, in order.
    return np.concatenate([np.partition(block, neighbour, axis=1)[:, neighbour] for block in blocks(points, points)])


def blocks(points: Floats, others: Floats) -> Iterator[NDArray[np.float64]]:
    """All distances, BLOCK rows of points at a time: [BLOCK, M] each.

    Those of float32 are exact to some thousandths of the length of the points, which is cheap and enough for pictures.
    """
    squares = np.square(others).sum(axis=1, dtype=np.float64)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        apart = np.square(block).sum(axis=1, dtype=np.float64)[:, None] + squares[None] - 2.0 * (block @ others.T)
        yield np.sqrt(apart.clip(0.0))
