"""What came of the scenarios, kept in one file each: those that are run again take the place of their last run."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.abuse.promise import Figures, Promise
from benchmarks.report import Sheet


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one scenario."""

    name: str
    title: str
    scale: float
    seconds: float
    promises: tuple[Promise, ...]

    @property
    def broken(self) -> list[Promise]:
        """The promises that were not held."""
        return [promise for promise in self.promises if not promise.held]


def write(folder: Path, result: Result, figures: Figures | None) -> None:
    """Keep a result, with all that was measured for it."""
    measured: Any = asdict(figures) if figures is not None else None  # type: ignore[call-overload]  # a dataclass each
    content = asdict(result) | {"figures": measured}
    _file(folder, result.name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(folder: Path, names: Iterable[str]) -> list[Result]:
    """The results of these scenarios, where there are any."""
    return [_read(path) for path in (_file(folder, name) for name in names) if path.exists()]


def sheet(results: Sequence[Result], title: str) -> Sheet:
    """A line for each promise."""
    lines = [
        ("" if number else result.title, promise.text, promise.value, promise.bound, _verdict(promise))
        for result in results
        for number, promise in enumerate(result.promises)
    ]
    return Sheet(title, ("abuse", "promise", "figure", "bound", "held"), tuple(lines))


def replace_table(page: Path, table: str, name: str = "abuse") -> None:
    """Put the table between the two comments of this name in a page, that say where it stands. Raises ValueError."""
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"{page} lacks the comments {first} and {last}")
    page.write_text(f"{head}{begin}\n{table}{end}{tail}", encoding="utf-8")


def _verdict(promise: Promise) -> str:
    return ("yes" if promise.held else "NO") if promise.bound else ""


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _read(path: Path) -> Result:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    promises = tuple(Promise(**each) for each in content["promises"])
    return Result(content["name"], content["title"], content["scale"], content["seconds"], promises)
