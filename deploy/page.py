"""Figures read from a server's metrics page."""

import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_TIMEOUT_SECONDS = 10.0
_RUN_SECONDS = "rhapsode_run_seconds_sum"
_RUNS = "rhapsode_run_seconds_count"
_ROWS = "rhapsode_rows_per_run_sum"


@dataclass(frozen=True, slots=True)
class Lane:
    """What one graph of a model has done so far."""

    model: str
    role: str
    runs: int
    rows: int
    run_seconds: float


def fetch(metrics_address: str) -> str:
    """The metrics page of a server that listens on "host:port"."""
    with urllib.request.urlopen(f"http://{metrics_address}/metrics", timeout=_TIMEOUT_SECONDS) as reply:
        return str(reply.read().decode())


def lanes(page: str) -> list[Lane]:
    """Every graph that has run at least once, in the page's order."""
    values: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name in (_RUN_SECONDS, _RUNS, _ROWS):
                values[sample.name][sample.labels["model"], sample.labels["role"]] = sample.value
    return [_lane(key, values) for key, runs in values[_RUNS].items() if runs]


def _lane(key: tuple[str, str], values: Mapping[str, Mapping[tuple[str, str], float]]) -> Lane:
    return Lane(*key, int(values[_RUNS][key]), int(values[_ROWS][key]), values[_RUN_SECONDS][key])
