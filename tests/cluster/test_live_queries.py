"""What the rules and the dashboard ask of Prometheus, it can answer about a live server."""

import time
from collections.abc import Iterator

import pytest
import yaml

from house.project import ROOT
from support.dashboard import BOARD, PANELS, TARGETS, Json
from support.prometheus import needs_prometheus
from support.rules import rules
from support.scene import Scene, metrics_named, scene

pytestmark = needs_prometheus

# Nothing to see where no certificate is served.
MAY_BE_EMPTY = {"Certificates' time left"}
MOVED = {
    "Rpcs", "Rpcs by method", "Rpcs by status", "Made", "Messages", "Rpcs without a deadline", "Time of unary rpcs",
    "Time of streams", "Time to first message", "Between messages", "Time of a run", "Writing pictures", "Queue wait",
    "Rows in a run", "Share of time in runs", "Models", "Loading", "Processors", "Memory", "Open files", "Servers",
}  # fmt: skip


@pytest.fixture(scope="module", name="scene")
def watched_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("models")) as found:
        yield found


def filled(query: str) -> str:
    """A query as Grafana sends it, with All chosen everywhere."""
    for name, value in (("$__rate_interval", "1h"), ("$__interval", "15s"), ("$instance", ".*"), ("$model", ".*")):
        query = query.replace(name, value)
    assert "$" not in query
    return query


def test_metrics_that_rules_name_exist(scene: Scene) -> None:
    named = {name for kind in ("alert", "record") for rule in rules(kind) for name in metrics_named(rule["expr"])}
    assert named - scene.on_the_page() == set()


def test_a_live_prometheus_evaluates_every_rule(scene: Scene) -> None:
    found = scene.rules()
    assert [(rule["name"], rule["lastError"]) for rule in found if rule["health"] != "ok"] == []
    assert len(found) == len(rules("alert")) + len(rules("record"))


def test_the_autoscaler_has_prometheus_answer(scene: Scene) -> None:
    for rule in yaml.safe_load((ROOT / "deploy/prometheus/adapter.yaml").read_text("utf-8"))["rules"]:
        series = rule["seriesQuery"].partition("{")[0]
        filled = {"<<.Series>>": series, "<<.LabelMatchers>>": 'job="rhapsode"', "<<.GroupBy>>": "instance"}
        query = rule["metricsQuery"]
        for name, value in filled.items():
            query = query.replace(name, value)
        assert [sample.labels["instance"] for sample in scene.query(query)] == [scene.metrics_address]


def test_a_server_under_ordinary_load_fires_nothing(scene: Scene) -> None:
    assert [rule["name"] for rule in scene.rules() if rule.get("state") == "firing"] == []


def test_metrics_that_panels_name_exist(scene: Scene) -> None:
    named = {name for target in TARGETS for name in metrics_named(target["expr"])}
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


def test_a_start_is_marked_when_it_was(scene: Scene) -> None:
    (mark,) = BOARD["annotations"]["list"]
    assert mark["useValueForTime"]  # then the value is the mark's time, in milliseconds
    (start,) = scene.query(filled(mark["expr"]))
    assert 0 <= time.time() - start.value / 1000 < 3600
