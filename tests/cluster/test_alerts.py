"""The alerting rules are well formed, each is tried by promtool, and each leads to a page that says what to do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from house.documents import broken_links
from house.project import ROOT
from support.rules import RULES, rules

TESTS = ROOT / "deploy/prometheus/rules_test.yaml"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is absent")


def promtool(*words: str) -> str:
    """What promtool has against a file, nothing where it is content."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@needs_promtool
def test_promtool_can_read_the_rules() -> None:
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES)) == ""


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_before() -> None:
    assert promtool("test", "rules", str(TESTS)) == ""


@needs_promtool
def test_a_rule_that_does_not_fire_is_found(tmp_path: Path) -> None:
    cases = yaml.safe_load(TESTS.read_text("utf-8"))
    one = [case for case in cases["tests"] if case["name"] == "RhapsodeSlotsNearlyTaken"]
    (tmp_path / "rules.yaml").write_text(RULES.read_text("utf-8").replace("> 0.9", "> 0.99"))
    (tmp_path / "rules_test.yaml").write_text(yaml.safe_dump({**cases, "tests": one}))
    assert "RhapsodeSlotsNearlyTaken" in promtool("test", "rules", str(tmp_path / "rules_test.yaml"))


def test_every_alert_has_a_case_that_fires_it() -> None:
    tests = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    cases = [case for each in tests for case in each.get("alert_rule_test", ())]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fired == silent == {rule["alert"] for rule in rules("alert")}


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules("alert"):
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert re.search(r"\d|\$value|\$labels", rule["annotations"]["description"])
        assert rule["annotations"]["runbook"] == f"docs/observability.md#{rule['alert'].lower()}"
        assert broken_links(ROOT / "README.md", f"[it]({rule['annotations']['runbook']})") == []


def test_every_paragraph_is_about_an_alert() -> None:
    page = (ROOT / "docs/observability.md").read_text("utf-8")
    assert re.findall(r"^### (Rhapsode\w+)$", page, re.MULTILINE) == [rule["alert"] for rule in rules("alert")]
