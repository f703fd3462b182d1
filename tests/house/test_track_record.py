"""The tests that docs/reliability.md names as holding a bug are there."""

import re
from pathlib import Path

import pytest

from house.project import ROOT

PAGE = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| .+ \|( [0-9a-f]{7,})? \| `(?P<path>tests/[a-z_/]+\.py)::(?P<test>test_[a-z0-9_]+)` \|( yes)? \|")
SECTION = "## Bugs that were found, and what holds them"


def rows() -> list[re.Match[str]]:
    """The lines of the table that name a test as they should."""
    return [found for line in _table() if (found := ROW.fullmatch(line))]


def _table() -> list[str]:
    section = PAGE.partition(SECTION)[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_every_bug_names_its_test() -> None:
    assert len(rows()) == len(_table()) > 10


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["test"])
def test_the_test_is_there(row: re.Match[str]) -> None:
    path: Path = ROOT / row["path"]
    assert re.search(rf"^(async )?def {row['test']}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
