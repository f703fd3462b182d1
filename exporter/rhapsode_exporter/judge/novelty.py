"""Whether a generator makes pictures of its own, or hands out those that it learnt from."""

from dataclasses import dataclass

import numpy as np

from rhapsode_exporter.judge.neighbours import Floats, nearest

# A picture counts as a copy that lies nearer to a training picture than all but this share of unseen real ones do.
COPIES = 0.01


@dataclass(frozen=True, slots=True)
class Novelty:
    """`ratio`: mean distance to the nearest training picture over that of held-out ones; 0 for copies, 1 for news.

    `copies`: the share of pictures that are nearer than the nearest hundredth of the held-out ones.
    """

    ratio: float
    copies: float


def novelty(made: Floats, training: Floats, held_out: Floats) -> Novelty:
    """How far pictures [N, P] are from the training pictures [M, P], beside held-out ones [L, P].

    The test of memory by nearest neighbours that papers on GANs show by eye (Goodfellow et al. 2014), as a number; it
    compares distances with those of unseen real pictures as Meehan et al. 2020 do.
    """
    apart, unseen = nearest(made, training), nearest(held_out, training)
    return Novelty(float(apart.mean() / unseen.mean()), float((apart < np.quantile(unseen, COPIES)).mean()))
