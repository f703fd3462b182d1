"""One page of metrics out of those of several processes, as values: what is counted adds up, what is a fact stays one.

prometheus_client's own way for several processes loses exemplars and the metrics of the process, and needs a folder
that can be written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from types import MappingProxyType
from typing import TypeAlias

from prometheus_client import Metric
from prometheus_client.samples import Exemplar, Sample

Family: TypeAlias = Metric  # a metric's name with all its series
Snapshot: TypeAlias = Sequence[Family]  # what one process reports at a moment
Rule: TypeAlias = Callable[[Sequence[float]], float]
_Series: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]  # name, labels in order

_CUMULATIVE = ("counter", "histogram", "summary")
# Gauges that say what is so instead of how much there is; names that end in _info are such too. All others are added.
_FACTS: Mapping[str, Rule] = MappingProxyType(
    {
        "rhapsode_expected_wait_seconds": max,
        "rhapsode_model_failed": max,
        "rhapsode_model_load_seconds": max,
        "rhapsode_provider_fallback": max,
        "rhapsode_tls_cert_expiry_timestamp_seconds": min,  # the first that ends needs the look
        "process_max_fds": min,  # a limit of each process: what runs out first is the fullest of the smallest
        "process_open_fds": max,
        "process_start_time_seconds": min,
    }
)
_UNIT = 2.0**-20


def gauge_rule(name: str) -> Rule:
    """How the values that several processes have for a gauge make one."""
    return max if name.endswith("_info") else _FACTS.get(name, sum)


def merge(snapshots: Iterable[Snapshot]) -> list[Family]:
    """Merge families of one name, and in them series of one name and equal labels, in the order of first sight."""
    families: dict[str, list[Family]] = {}
    for snapshot in snapshots:
        for family in snapshot:
            families.setdefault(family.name, []).append(family)
    return [_merge_family(parts) for parts in families.values()]


def lasting(snapshot: Snapshot) -> list[Family]:
    """What of a process that has ended still counts, so that no counter ever falls."""
    return [family for family in snapshot if family.type in _CUMULATIVE]


def _merge_family(parts: Sequence[Family]) -> Family:
    series: dict[_Series, list[Sample]] = {}
    for part in parts:
        for sample in part.samples:
            if sample.name.endswith("_created"):  # says little of one process, and nothing of several
                continue
            series.setdefault((sample.name, tuple(sorted(sample.labels.items()))), []).append(sample)
    first = parts[0]
    merged = Metric(first.name, first.documentation, first.type)
    rule = _exact_sum if first.type in _CUMULATIVE else gauge_rule(first.name)
    merged.samples = [_merge_series(samples, rule) for samples in series.values()]
    return merged


def _merge_series(samples: Sequence[Sample], rule: Rule) -> Sample:
    value = rule([sample.value for sample in samples])
    return samples[0]._replace(value=value, exemplar=_latest(sample.exemplar for sample in samples))


def _exact_sum(values: Sequence[float]) -> float:
    """Add without rounding, in any order: a part that moves to the past must not make the sum a hair smaller.

    Multiples of a millionth do so; Prometheus would take the hair for a restart, and count everything again.
    """
    return sum(round(value / _UNIT) * _UNIT if isfinite(value) else value for value in values)


def _latest(exemplars: Iterable[Exemplar | None]) -> Exemplar | None:
    return max((each for each in exemplars if each), key=lambda each: float(each.timestamp or 0), default=None)
