"""The rules for Prometheus, read as YAML."""

from typing import Any, TypeAlias

import yaml

from house.project import ROOT

RULES = ROOT / "deploy/prometheus/rules.yaml"

Rule: TypeAlias = dict[str, Any]  # a rule as YAML has it


def rules(kind: str) -> list[Rule]:
    """The rules of one kind, "alert" or "record"."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]
