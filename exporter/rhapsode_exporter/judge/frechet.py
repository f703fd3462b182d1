"""The Fréchet distance between two sets of pictures in a space of features."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def frechet_distance(made: Floats, real: Floats) -> float:
    """The squared Fréchet distance of the normals fitted to features [N, D] and [M, D] (Heusel et al. 2017).

    Biased upwards by the smallness of the sets, so compare only distances of sets of the same sizes.
    """
    return distance_of_normals(
        made.mean(axis=0), np.cov(made, rowvar=False), real.mean(axis=0), np.cov(real, rowvar=False)
    )


def distance_of_normals(mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats) -> float:
    """|m - m'|² + tr(C + C' - 2 (C C')^½), the squared Fréchet distance of two normals (Dowson & Landau 1982)."""
    root = _root(np.atleast_2d(covariance))
    # (C C')^½ has the trace of (C^½ C' C^½)^½, which is symmetric.
    shared = np.linalg.eigvalsh(root @ np.atleast_2d(other_covariance) @ root)
    spread = np.trace(np.atleast_2d(covariance)) + np.trace(np.atleast_2d(other_covariance))
    return float(np.square(mean - other_mean).sum() + spread - 2.0 * np.sqrt(shared.clip(0.0)).sum())


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
    return root
