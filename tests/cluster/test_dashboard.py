"""The dashboard is one that Grafana can read, and each of its queries finds what it looks for on a live server."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from house.project import ROOT
from support.scene import Scene, metrics_named

Json: TypeAlias = dict[str, Any]

FOLDER = ROOT / "deploy/grafana"
BOARD: Json = json.loads((FOLDER / "rhapsode.json").read_text("utf-8"))
ROWS = [panel for panel in BOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel, target) for panel in PANELS for target in panel["targets"]]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Grafana's types do not model the title of an annotation from Prometheus.
UNKNOWN_TO_THE_TYPES = {".annotations.list[0].titleFormat"}
# Nothing to see where no certificate is served.
MAY_BE_EMPTY = {"Certificates' time left"}
MOVED = {
    "Rpcs", "Rpcs by method", "Rpcs by status", "Made", "Messages", "Rpcs without a deadline", "Time of unary rpcs",
    "Time of streams", "Time to first message", "Between messages", "Time of a run", "Writing pictures", "Queue wait",
    "Rows in a run", "Share of time in runs", "Models", "Loading", "Processors", "Memory", "Open files", "Servers",
}  # fmt: skip


def filled(query: str) -> str:
    """A query as Grafana sends it, with All chosen everywhere."""
    for name, value in (("$__rate_interval", "1m"), ("$__interval", "15s"), ("$instance", ".*"), ("$model", ".*")):
        query = query.replace(name, value)
    assert "$" not in query
    return query


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
    shown = {name for _, target in TARGETS if target.get("exemplar") for name in metrics_named(target["expr"])}
    assert shown == {
        "grpc_server_handling_seconds",
        "rhapsode_queue_wait_seconds",
        "rhapsode_run_seconds",
        "rhapsode_time_to_first_message_seconds",
    }


def test_metrics_that_panels_name_exist(scene: Scene) -> None:
    named = {name for _, target in TARGETS for name in metrics_named(target["expr"])}
    assert named - scene.on_the_page() == set()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panels_queries_find_something(scene: Scene, panel: Json) -> None:
    found = [scene.query(filled(target["expr"])) for target in panel["targets"]]
    assert panel["title"] in MAY_BE_EMPTY or all(found)
    assert panel["title"] not in MOVED or all(any(sample.value > 0 for sample in each) for each in found)


def test_choices_are_found(scene: Scene) -> None:
    variables = [each for each in BOARD["templating"]["list"] if each["type"] == "query"]
    for each in variables:
        series, _, label = each["query"]["query"].removeprefix("label_values(").removesuffix(")").rpartition(", ")
        assert all(label in sample.labels for sample in scene.query(filled(series)))
        assert scene.query(filled(series))
    assert [each["name"] for each in variables] == ["instance", "model"]


def test_marks_of_starts_can_be_asked_for(scene: Scene) -> None:
    (mark,) = BOARD["annotations"]["list"]
    assert list(scene.query(filled(mark["expr"]))) == []


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
