"""The dashboard is one that Grafana can read, and tells an operator what it shows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from support.dashboard import BOARD, PANELS, TARGETS, Json
from support.scene import metrics_named

ROWS = [panel for panel in BOARD["panels"] if panel["type"] == "row"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Grafana's types do not model what an annotation from Prometheus has of its own.
UNKNOWN_TO_THE_TYPES = {f".annotations.list[0].{key}" for key in ("titleFormat", "useValueForTime")}


def test_grafanas_own_types_know_every_key() -> None:
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(BOARD)))
    assert set(_lost(BOARD, read)) == UNKNOWN_TO_THE_TYPES


def test_a_key_that_grafana_does_not_know_is_found() -> None:
    odd = {**BOARD, "panels": [{**PANELS[0], "fieldConfig": {"defaults": {"unitt": "s"}, "overrides": []}}]}
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(odd)))
    assert ".panels[0].fieldConfig.defaults.unitt" in set(_lost(odd, read))


def test_panels_are_apart_and_within_the_grid() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_rows_are_those_that_an_operator_looks_for() -> None:
    titles = ["Now", "Traffic", "Latency", "Queue, slots, batches", "Models", "Errors and refusals", "Process"]
    assert [row["title"] for row in ROWS] == [*titles, "Certificates"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows(panel: Json) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == SOURCE
    assert all(target["datasource"] == SOURCE and target["legendFormat"] for target in panel["targets"])
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_latencies_show_exemplars() -> None:
    shown = {name for target in TARGETS if target.get("exemplar") for name in metrics_named(target["expr"])}
    assert shown == {
        "grpc_server_handling_seconds",
        "rhapsode_queue_wait_seconds",
        "rhapsode_run_seconds",
        "rhapsode_time_to_first_message_seconds",
    }


def _lost(wrote: Any, read: Any, path: str = "") -> Iterator[str]:
    """Where what was read lacks what was written, or says something else."""
    if isinstance(wrote, dict) and isinstance(read, dict):
        for key, value in wrote.items():
            yield from _lost(value, read[key], f"{path}.{key}") if key in read else [f"{path}.{key}"]
    elif isinstance(wrote, list) and isinstance(read, list) and len(wrote) == len(read):
        for number, (one, other) in enumerate(zip(wrote, read, strict=True)):
            yield from _lost(one, other, f"{path}[{number}]")
    elif wrote != read:
        yield path
