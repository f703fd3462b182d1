"""What goes to the terminal: progress, notes and JSON lines, none of it where it would disturb a pipe."""

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from typing import TypeAlias, TypeVar, cast

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

ItemT = TypeVar("ItemT")
Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None

WIDE = 200  # characters in a line of a table that goes into a pipe or a file
# Control characters but tab and newline: a model's text must not drive the terminal.
_CONTROLS = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")


def notes() -> Console:
    """Where to write what is not the result: stderr; without colour where that is no terminal."""
    return Console(stderr=True, highlight=False)


def results() -> Console:
    """Where to write tables that are the result: stdout; wide where that is no terminal, so that nothing is cut."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def note(line: str) -> None:
    """Say something beside the result, to people only."""
    console = notes()
    if console.is_terminal:
        console.print(line, style="dim", markup=False)


def progress(items: Iterable[ItemT], total: int, what: str) -> Iterator[ItemT]:
    """The items, with a bar on stderr as they come; no bar where that is no terminal."""
    console = notes()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=total)
        for item in items:
            yield item
            bars.advance(task)


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """A sign on stderr that something takes its time; none where that is no terminal."""
    console = notes()
    if not console.is_terminal:
        yield
        return
    with console.status(Text(what)):
        yield


def printable(text: str) -> str:
    """Text as it may be shown: unchanged into a pipe, without control characters on a terminal."""
    return text.translate(_CONTROLS) if sys.stdout.isatty() else text


def write(text: str) -> None:
    """Put text on stdout at once."""
    sys.stdout.write(printable(text))
    sys.stdout.flush()


def write_json(record: object, kind: str = "") -> None:
    """Put a record (a frozen dataclass or a mapping) on stdout as one line of JSON, with its kind as "type"."""
    fields = cast("dict[str, Json]", plain(record))
    typed = {"type": kind, **fields} if kind else fields
    sys.stdout.write(json.dumps(typed, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def plain(value: object) -> Json:
    """A value in JSON's own types: dataclasses become objects, arrays lists, what JSON cannot say null."""
    match value:
        case None | bool() | int() | str() if not isinstance(value, Enum):
            return value
        case Enum():
            return str(value.value)
        case float():
            return value if np.isfinite(value) else None
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case np.ndarray():
            return plain(value.tolist())
        case list() | tuple():
            return [plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")
