"""The sampling options of a batch as the arrays that a fused graph takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.row import TextRow
from rhapsode_server.models.sampling import Sampling

# Greedy is what remains of temperature when it is as small as can be: all but the likeliest weigh nothing, and the
# first of those is drawn.
COLDEST = np.finfo(np.float32).tiny
# A row that nobody asked for, in the order of `fuse.wiring.COLUMNS`.
NEUTRAL = Sampling().columns
_TEMPERATURE, _TOP_P, _MIN_P, _REPETITION, _PRESENCE, _FREQUENCY, _KEPT = range(len(NEUTRAL))


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """What a batch asks of the sampler; shapes as in `fuse.wiring`."""

    columns: NDArray[np.float32]
    depth: int
    """Ranks that the filters look at; 0 where no row has any."""
    ranks: int
    bias: NDArray[np.float32] | None
    penalised: bool
    greedy: NDArray[np.int64]
    """Places of the rows that take the likeliest token."""
    tells: bool

    @property
    def adjusts(self) -> bool:
        """Whether the logits of any row are changed."""
        return self.penalised or self.bias is not None

    @property
    def filters(self) -> bool:
        """Whether any row drops tokens."""
        return bool(self.depth)


def options(rows: Sequence[TextRow], vocabulary: int) -> Options:
    """Gather the options of the rows."""
    columns = np.array([row.columns for row in rows], np.float32)
    greedy = np.flatnonzero(columns[:, _TEMPERATURE] <= 0.0)
    columns[:, _TEMPERATURE] = np.maximum(columns[:, _TEMPERATURE], COLDEST)
    kept = columns[:, _KEPT]
    kept[kept >= vocabulary] = 0.0  # that is everything
    wanted = [row.spec.logprobs for row in rows if row.spec.logprobs is not None]
    return Options(
        columns=columns,
        depth=_depth(columns, vocabulary),
        ranks=min(vocabulary, max(1, *wanted)) if wanted else 1,
        bias=_bias(rows, vocabulary),
        penalised=bool((columns[:, _REPETITION : _FREQUENCY + 1] != NEUTRAL[_REPETITION : _FREQUENCY + 1]).any()),
        greedy=greedy,
        tells=bool(wanted),
    )


def _depth(columns: NDArray[np.float32], vocabulary: int) -> int:
    kept, shares = columns[:, _KEPT], columns[:, _TOP_P] < 1.0
    if (shares & (kept == 0.0)).any():
        return vocabulary
    return max(int(kept.max()), int((columns[:, _MIN_P] > 0.0).any()))


def _bias(rows: Sequence[TextRow], vocabulary: int) -> NDArray[np.float32] | None:
    biased = [(place, row.spec.sampling.logit_bias) for place, row in enumerate(rows) if row.spec.sampling.logit_bias]
    if not biased:
        return None
    bias = np.zeros((len(rows), vocabulary), np.float32)
    for place, entries in biased:
        for token, value in entries:
            bias[place, token] = value
    return bias
