"""The dashboard, as Grafana would read it."""

import json
from typing import Any, TypeAlias

from house.project import ROOT

Json: TypeAlias = dict[str, Any]

BOARD: Json = json.loads((ROOT / "deploy/grafana/rhapsode.json").read_text("utf-8"))
PANELS: list[Json] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS: list[Json] = [target for panel in PANELS for target in panel["targets"]]
"""Every query, with its legend."""
