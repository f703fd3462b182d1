"""How many generated pictures look real, and how many real ones could have been generated."""

from dataclasses import dataclass

import numpy as np

from rhapsode_exporter.judge.neighbours import Floats, blocks, radii

NEIGHBOUR = 3


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Shares in [0, 1]."""

    precision: float
    recall: float


def precision_recall(made: Floats, real: Floats, neighbour: int = NEIGHBOUR) -> PrecisionRecall:
    """Improved precision and recall of features [N, D] against [M, D] (Kynkäänniemi et al. 2019).

    Precision is the share of generated pictures that lie nearer to some real one than its `neighbour`-th real
    neighbour does; recall is the same the other way round. Sets of one size are compared, as both depend on it.
    """
    return PrecisionRecall(share_inside(made, real, neighbour), share_inside(real, made, neighbour))


def share_inside(points: Floats, others: Floats, neighbour: int) -> float:
    """The share of the points [N, D] that lie in the ball of at least one of the others [M, D].

    A ball reaches to the `neighbour`-th nearest of its own kind.
    """
    reach = radii(others, neighbour)
    return float(np.concatenate([(block <= reach).any(axis=1) for block in blocks(points, others)]).mean())
