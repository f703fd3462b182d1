"""The documents speak the truth: options, metrics, variables, targets and links that they name exist."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from house.documents import (
    FLAG,
    METRIC,
    PACKAGE,
    TARGET,
    VARIABLE,
    broken_links,
    documents,
    metric_rows,
    model_rows,
    option_rows,
    own_flags,
    refusals,
    told_refusals,
)
from house.project import ROOT
from rhapsode_server.rpc.inference.conversation import REASON, STATUS
from rhapsode_server.rpc.inference.reply import FINGERPRINT

# Flags of docker, kubectl, pip, make, envoy, Prometheus and perf_analyzer that the documents show.
FOREIGN_FLAGS = {
    "--build",
    "--build-arg",
    "--cap-drop",
    "--concurrency-range",
    "--config-path",
    "--drain-time-s",
    "--enable-feature",
    "--file",
    "--filename",
    "--gpus",
    "--kustomize",
    "--namespace",
    "--publish",
    "--read-only",
    "--secret",
    "--security-opt",
    "--tag",
    "--target",
}
PROTOC_FLAG = re.compile(r"--[a-z_-]+_(out|opt)")
# Variables that another program than the server reads.
OTHER_VARIABLES = {"RHAPSODE_DATA", "RHAPSODE_TOKEN", "RHAPSODE_TOKEN_FILE"}

pages = pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))


@cache
def known_flags() -> frozenset[str]:
    """Every flag that there is."""
    return frozenset({*FOREIGN_FLAGS, *own_flags()})


@pages
def test_flags_exist(page: Path) -> None:
    named = {flag for flag in FLAG.findall(page.read_text("utf-8")) if not PROTOC_FLAG.fullmatch(flag)}
    assert named - known_flags() == set()


@pages
def test_metrics_exist(page: Path) -> None:
    known = {row.split("`")[1] for row in metric_rows()}
    named = set(METRIC.findall(page.read_text("utf-8"))) - {FINGERPRINT, REASON, STATUS}  # of inference.md
    assert {name for name in named if not PACKAGE.match(name)} - known == set()


@pages
def test_variables_exist(page: Path) -> None:
    known = {f"RHAPSODE_{row.split('`')[1].removeprefix('--').replace('-', '_').upper()}" for row in option_rows()}
    assert set(VARIABLE.findall(page.read_text("utf-8"))) - known - OTHER_VARIABLES == set()


@pages
def test_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {first or second for first, second in TARGET.findall(page.read_text("utf-8"))}
    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


@pages
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page, page.read_text("utf-8")) == []


def test_the_operator_finds_every_option_and_metric() -> None:
    assert _missing(option_rows(), "docs/operations.md") == []
    assert _missing(metric_rows(), "docs/observability.md") == []


def test_the_operator_finds_every_reason_of_a_refusal() -> None:
    assert told_refusals() == refusals()


def test_the_readme_has_the_figures_of_the_cards() -> None:
    assert _missing(model_rows(), "README.md") == []


def _missing(rows: Iterator[str], page: str) -> list[str]:
    """Those rows that a page lacks."""
    text = (ROOT / page).read_text("utf-8").splitlines()
    return [row for row in rows if row not in text]


def test_flags_of_every_program_are_known() -> None:
    assert known_flags() >= {"--max-batch", "--no-require-gpu", "--echo", "--fresh", "--version", "--rivals", "--help"}


def test_a_lie_is_found() -> None:
    lie = (
        "See [there](nowhere.md) and [here](README.md#no-such-heading): "
        "`make gold`, `--no-such-flag`, `rhapsode_gold_total`."
    )
    assert broken_links(ROOT / "README.md", lie) == ["README.md: nowhere.md", "README.md: README.md#no-such-heading"]
    assert TARGET.findall(lie) == [("gold", "")]
    assert FLAG.findall(lie) == ["--no-such-flag"]
    assert METRIC.findall(lie) == ["rhapsode_gold_total"]
