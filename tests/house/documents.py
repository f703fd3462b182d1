"""What the documents say, and what the programs say of themselves."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from prometheus_client import CollectorRegistry
from rich.console import Console
from typer.main import get_command

from house.project import ROOT, python_files
from rhapsode.v1 import bundle_pb2
from rhapsode_client.cli import main as client
from rhapsode_exporter import main as exporter
from rhapsode_exporter.families.catalogue import families
from rhapsode_server import command_line, errors
from rhapsode_server.config import Config
from rhapsode_server.observe import lanes
from rhapsode_server.observe.connections import ConnectionMetrics
from rhapsode_server.observe.loads import LoadMetrics
from rhapsode_server.observe.log_metrics import LogMetrics
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.rpcs import RpcMetrics
from rhapsode_server.observe.workers import WorkerMetrics
from rhapsode_server.rpc.interceptors import Guard

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
METRIC = re.compile(r"\b(?:rhapsode|grpc_server)_[a-z_]*[a-z]\b")
PACKAGE = re.compile(r"rhapsode_(?:client|server|exporter)\b")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z_-]*[a-z]\b")
VARIABLE = re.compile(r"\bRHAPSODE_[A-Z_]*[A-Z]\b")
TARGET = re.compile(r"`make ([a-z-]+)`|^\s*make ([a-z-]+)\b", re.MULTILINE)


def documents() -> list[Path]:
    """Every hand-written page for people."""
    fixed = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "clients/README.md")]
    return [*fixed, ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]


def option_rows() -> Iterator[str]:
    """The rows of the table of options: flag, default, meaning."""
    for name, field in Config.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        values = ", ".join(f"`{value}`" for value in command_line.choices(field))
        meaning = str(field.description).replace("<", "&lt;") + (f" ({values})" if values else "")
        yield f"| `--{name.replace('_', '-')}` | `{default}` | {meaning} |"


def own_flags() -> Iterator[str]:
    """Every flag of our programs, asked of their parsers: to start them one after another takes a minute."""
    yield from FLAG.findall(command_line.parser().format_help())
    for app in (client.build(), exporter.build_app(families(), Console())):
        yield from _flags(get_command(app))
    for path in python_files(ROOT / "benchmarks"):
        yield from re.findall(r"""add_argument\(\s*"(--[a-z-]+)\"""", path.read_text("utf-8"))


def metric_rows() -> Iterator[str]:
    """The rows of the table of metrics: name, kind, labels, meaning."""
    registry = CollectorRegistry()
    Metrics(registry)
    RpcMetrics(registry)
    ConnectionMetrics(registry, 0)
    WorkerMetrics(registry)
    LogMetrics(registry)
    LoadMetrics(registry)
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        collector = registry._names_to_collectors[family.name]
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # type: ignore[attr-defined]  # only there
        yield f"| `{name}` | {family.type} | {labels} | {family.documentation} |"


def refusals() -> set[str]:
    """The reasons for which requests are counted as refused: by a model's driver, and by what stands before it."""
    seen = re.search(r"isinstance\(error, ([\w |]+)\):\s+self\._count_refusal", inspect.getsource(Guard))
    assert seen, "the guard counts in another way"
    kinds = [kind for name in seen[1].split(" | ") for kind in _kinds(getattr(errors, name))]
    return {kind.reason.lower() for kind in kinds if "reason" in vars(kind)} | {*lanes._REJECTIONS}


def told_refusals() -> set[str]:
    """Those that the document of metrics lists."""
    section = (ROOT / "docs/observability.md").read_text("utf-8").partition("\n### Why requests are refused\n")[2]
    points = "\n".join(re.findall(r"^- .+$", section.partition("\n### ")[0], re.MULTILINE))
    return set(re.findall(r"`([a-z]\w+)`", points)) - {"model"}


def model_rows() -> Iterator[str]:
    """The rows of the table of shipped models: name with a link to its card, kind, size in MB, figures.

    Those that `rhapsode-train evaluate` measured stand in docs/gallery.md instead.
    """
    for manifest in sorted((ROOT / "models").glob("*/*/bundle.json")):
        folder = manifest.parent
        bundle = json_format.Parse(manifest.read_text("utf-8"), bundle_pb2.Bundle())
        size = sum(path.stat().st_size for path in folder.rglob("*")) / 1e6
        figures = "; ".join(_figure(metric) for metric in bundle.metrics if not metric.name.startswith("judged_"))
        link = f"[{bundle.name}](models/{bundle.name}/{bundle.version}/card.md)"
        yield f"| {link} | {bundle.description} | {size:.1f} MB | {figures} |"


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere: to no file, or to no heading of it."""
    found = []
    for target in (link or picture for link, picture in LINK.findall(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in _anchors(text if not path else file.read_text("utf-8"))):
            found.append(f"{page.name}: {target}")
    return found


def _kinds(error: type[errors.RhapsodeError]) -> Iterator[type[errors.RhapsodeError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds(kind)


def _flags(command: Any) -> Iterator[str]:  # of typer's own copy of click
    yield "--help"
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for inner in getattr(command, "commands", {}).values():
        yield from _flags(inner)


def _figure(metric: bundle_pb2.Metric) -> str:
    beside = f" ({metric.baseline_name}: {metric.baseline:.3g})" if metric.HasField("baseline") else ""
    return f"{metric.name.replace('_', ' ')} {metric.value:.3g}{beside}"


def _anchors(text: str) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}
