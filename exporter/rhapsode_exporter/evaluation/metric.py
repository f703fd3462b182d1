"""A figure that was measured more than once, as a bundle tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rhapsode.v1.bundle_pb2 import Metric

# By this the figures that were measured on the finished bundle are told from those of its training.
PREFIX = "judged_"


@dataclass(frozen=True, slots=True)
class Finding:
    """A figure, and what each sampling seed gave; a single value where none is drawn."""

    metric: Metric
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a figure is to be compared with."""

    value: float
    name: str


def figure(
    name: str,
    values: Sequence[float],
    description: str,
    baseline: Baseline | None = None,
    *,
    higher_is_better: bool = False,
) -> Finding:
    """The mean of what each sampling seed gave, with the least and the greatest in the description."""
    metric = Metric(
        name=PREFIX + name,
        value=fmean(values),
        higher_is_better=higher_is_better,
        description=description + _spread(values),
    )
    if baseline is not None:
        metric.baseline, metric.baseline_name = baseline.value, baseline.name
    return Finding(metric, tuple(values))


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return ""
    return f" (mean of {len(values)} sampling seeds, which gave {min(values):.4g} to {max(values):.4g})"
