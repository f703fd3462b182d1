"""What a run of scenarios leaves: a file each, a table, and that table in a page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from benchmarks.abuse import results
from benchmarks.abuse.__main__ import Options, publish
from benchmarks.abuse.flood import BORNE, Fate
from benchmarks.abuse.promise import Promise, at_least, at_most, exactly, told
from benchmarks.abuse.results import Result
from rich.console import Console

PAGE = "before\n<!-- abuse: begin -->\nold\n<!-- abuse: end -->\nafter\n"

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"


@dataclass(frozen=True, slots=True)
class Counted:
    """Figures of nothing."""

    leaked: int

    def promises(self) -> Iterator[Promise]:
        """That nothing leaks."""
        yield exactly("leaked", self.leaked, 0)


def result(name: str, *promises: Promise) -> Result:
    return Result(name, f"the {name}", 1.0, 2.0, promises)


def test_promises_know_whether_they_are_held() -> None:
    assert at_most("p99", 12.34, 20, "ms") == Promise("p99", "12.3 ms", "≤ 20 ms", held=True)
    assert not at_most("p99", 20.5, 20).held
    assert at_least("served", 10_000, 10_000) == Promise("served", "10,000", "≥ 10,000", held=True)
    assert not at_least("served", 9, 10).held
    assert not exactly("leaked", 1, 0).held
    assert at_most("health", float("inf"), 50, "ms") == Promise("health", "never", "≤ 50 ms", held=False)
    assert at_most("refusal", float("nan"), 10, "ms") == Promise("refusal", "none", "≤ 10 ms", held=False)
    assert told("sent", 0.126, "MB") == Promise("sent", "0.13 MB", "", held=True)


@pytest.mark.parametrize(
    ("fate", "endings", "met"),
    [
        (BORNE, {}, True),
        (BORNE, {"GOAWAY NO_ERROR": 1}, False),
        (Fate("GOAWAY"), {"GOAWAY": 3, "closed": 1}, True),
        (Fate("GOAWAY"), {}, False),
        (Fate("GOAWAY"), {"closed": 3}, False),
        (Fate("GOAWAY", sure=False), {}, True),
        (Fate("GOAWAY", sure=False), {"nothing": 1}, False),
        (Fate("REFUSED", each=True), {"REFUSED": 5}, True),
        (Fate("REFUSED", each=True), {"REFUSED": 4, "nothing": 1}, False),
        (Fate("REFUSED", each=True), {"REFUSED": 4}, False),
    ],
)
def test_a_flood_has_to_end_as_it_should(fate: Fate, endings: Mapping[str, int], met: bool) -> None:
    assert fate.met(5, endings) is met


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = result("flood", *Counted(3).promises())
    results.write(tmp_path, kept, Counted(3))
    results.write(tmp_path, result("gone"), None)
    assert results.read(tmp_path, ["flood", "never", "gone"]) == [kept, result("gone")]
    assert kept.broken == [Promise("leaked", "3", "= 0", held=False)]


def test_a_page_gets_the_table_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    sheet = results.sheet([result("flood", exactly("leaked", 1, 0), told("sent", 5))], "a machine")
    results.replace_table(page, sheet.markdown())
    text = page.read_text("utf-8")
    assert text.startswith("before\n<!-- abuse: begin -->\na machine\n")
    assert "| the flood | leaked | 1 | = 0 | NO |\n|  | sent | 5 |  |  |\n" in text
    assert text.endswith("<!-- abuse: end -->\nafter\n")
    assert "old" not in text


@pytest.mark.parametrize("name", ["abuse", "soak"])
def test_the_page_of_promises_has_a_place_for_each_table(tmp_path: Path, name: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(DOCUMENT.read_text("utf-8"), encoding="utf-8")
    results.replace_table(page, "the table\n", name)
    assert f"<!-- {name}: begin -->\nthe table\n<!-- {name}: end -->\n" in page.read_text("utf-8")


def test_a_page_without_its_comments_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the comments"):
        results.replace_table(page, "table")
    assert page.read_text("utf-8") == "nothing\n"


def test_a_page_is_not_given_what_was_done_in_part(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    whole = result("pings", exactly("leaked", 0, 0))
    options = Options(scale=1.0, only=(), out=tmp_path, write=page)
    assert not publish([whole, replace(whole, scale=0.5)], options, Console(quiet=True))
    assert page.read_text("utf-8") == PAGE
    assert publish([whole], options, Console(quiet=True))
    assert "| the pings | leaked | 0 | = 0 | yes |" in page.read_text("utf-8")
