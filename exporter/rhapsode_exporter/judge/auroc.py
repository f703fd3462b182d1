"""How well a score tells anomalies from pictures of the usual kind."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def auroc(anomalies: NDArray[np.floating[Any]], usual: NDArray[np.floating[Any]]) -> float:
    """The area under the ROC curve: how likely an anomaly scores higher than a usual picture, a tie being half.

    By ranks (Mann & Whitney 1947; Hanley & McNeil 1982); 0.5 is guessing.
    """
    scores = np.concatenate((anomalies, usual))
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # from 1; those of ties are their mean
    above = ranks[: len(anomalies)].sum() - len(anomalies) * (len(anomalies) + 1) / 2
    return float(above / (len(anomalies) * len(usual)))
