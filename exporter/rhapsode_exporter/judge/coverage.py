"""Whether a generator makes every kind of picture."""

import numpy as np
from numpy.typing import NDArray

# A class is covered whose share is at least this part of an even share.
LEAST = 0.2


def class_shares(named: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """The share [classes] of each class among class ids [N]."""
    return np.bincount(named, minlength=classes) / len(named)


def covered(shares: NDArray[np.float64]) -> int:
    """How many classes have at least LEAST of an even share: the modes that were found (Srivastava et al. 2017)."""
    return int((shares >= LEAST / len(shares)).sum())


def largest_gap(shares: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    """The largest difference between the shares of a trait among generated pictures and among real ones."""
    return float(np.abs(shares - real).max())
