"""Files and functions stay small, and every file says its one job in its first line."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from house.project import HOUSES, ROOT, python_files

FILE_LINES = 300
FUNCTION_LINES = 60
MEDIAN_LINES = 10
NINETIETH_LINES = 30

# A full stop, question or exclamation mark that is followed by a new sentence.
SECOND_SENTENCE = re.compile(r"[.?!]\s+[A-Z]")


@dataclass(frozen=True, slots=True)
class Function:
    """A function and the lines that it takes, blank lines and comments counted."""

    name: str
    lines: int


def functions_of(text: str) -> list[Function]:
    """Every function and method of a module, nested ones on their own too."""
    return [
        Function(node.name, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def quantile(values: list[int], share: float) -> int:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def first_line_offence(text: str) -> str | None:
    """What is wrong with the first line of a module, None where it is a docstring of one sentence."""
    opening = text.partition("\n")[0]
    if not opening.startswith('"""'):
        return "the first line is not a docstring"
    sentence = opening.removeprefix('"""').removesuffix('"""').strip()
    if not sentence.endswith((".", ":")):
        return "the docstring's first line is not a whole sentence"
    return "the docstring's first line is more than one sentence" if SECOND_SENTENCE.search(sentence) else None


@pytest.mark.parametrize("house", HOUSES)
def test_files_are_short(house: str) -> None:
    lengths = {str(path.relative_to(ROOT)): _lines(path) for path in python_files(ROOT / house)}
    assert {path: lines for path, lines in lengths.items() if lines > FILE_LINES} == {}


@pytest.mark.parametrize("house", HOUSES)
def test_files_say_their_job_in_their_first_line(house: str) -> None:
    offences = {str(path.relative_to(ROOT)): first_line_offence(_text(path)) for path in python_files(ROOT / house)}
    assert {path: offence for path, offence in offences.items() if offence} == {}


@pytest.mark.parametrize("house", HOUSES)
def test_functions_are_short(house: str) -> None:
    long = {
        f"{path.relative_to(ROOT)}:{function.name}": function.lines
        for path in python_files(ROOT / house)
        for function in functions_of(_text(path))
        if function.lines > FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize("house", HOUSES)
def test_most_functions_fit_in_the_head(house: str) -> None:
    lines = [function.lines for path in python_files(ROOT / house) for function in functions_of(_text(path))]
    assert quantile(lines, 0.5) <= MEDIAN_LINES
    assert quantile(lines, 0.9) <= NINETIETH_LINES


def test_the_rulers_measure() -> None:
    text = '"""One job."""\n\n\ndef f() -> int:\n    """Say."""\n\n    # why\n    return 1\n'
    assert functions_of(text) == [Function("f", 5)]
    assert [quantile(list(range(1, 11)), share) for share in (0.1, 0.5, 0.9, 1.0)] == [1, 5, 9, 10]
    assert first_line_offence(text) is None
    assert first_line_offence("import os\n") == "the first line is not a docstring"
    assert (
        first_line_offence('"""Half a sentence\nwith more."""') == "the docstring's first line is not a whole sentence"
    )
    assert first_line_offence('"""Does this. Does that."""') == "the docstring's first line is more than one sentence"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _lines(path: Path) -> int:
    return len(_text(path).splitlines())
