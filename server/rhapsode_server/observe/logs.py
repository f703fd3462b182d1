"""The server's logs: one JSON object a line on standard output, or lines for people."""

import logging
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Literal, TextIO, TypeAlias

from rhapsode_server.observe.line_writer import LineWriter
from rhapsode_server.observe.lines import Render, console_renderer, json_renderer

Format = Literal["json", "console"]
Stream: TypeAlias = TextIO | LineWriter

STANDARD_OUTPUT = 1
_NOTHING: Mapping[str, object] = MappingProxyType({})
_NOTES: ContextVar[Mapping[str, object]] = ContextVar("notes", default=_NOTHING)
_LEVELS: Mapping[int, str] = MappingProxyType(
    {weight: name.lower() for name, weight in logging.getLevelNamesMapping().items() if name not in ("WARN", "FATAL")}
)


class Log:
    """Writes a line for each event that has the weight. Not for several threads."""

    def __init__(self, stream: Stream, least: int, render: Render, always: Mapping[str, object] = _NOTHING) -> None:
        self._stream = stream
        self._always = always
        self._least = least
        self._render = render
        self._kept: list[str] = []

    @property
    def level(self) -> str:
        """The least weight that is written: one of Python's names in lower case."""
        return _LEVELS[self._least]

    def set_level(self, level: str) -> None:
        """Write what has this weight or more, from the next line on."""
        self._least = logging.getLevelNamesMapping()[level.upper()]

    def debug(self, event: str, **fields: object) -> None:
        """Write what only its authors want to know."""
        self._say(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write what is as it should be."""
        self._say(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write what may need a look."""
        self._say(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write what went wrong; `exc_info` is an exception to be told with its traceback."""
        self._say(logging.ERROR, event, fields)

    def keep(self, event: str, **fields: object) -> None:
        """Write what `info` would, though not before `flush` or the next line: a write for each rpc costs too much."""
        self._add(logging.INFO, event, fields)

    def flush(self) -> None:
        """Write what was kept."""
        if self._kept:
            text = "".join(self._kept)
            self._kept.clear()
            self._stream.write(text)
            self._stream.flush()

    def count_dropped(self, count: Callable[[int], object]) -> None:
        """Have `count` told how many lines could not be written; a stream of one's own loses none."""
        if isinstance(self._stream, LineWriter):
            self._stream.count_dropped(count)

    def close(self) -> None:
        """Write what was kept, the last: wait until it is written, though not for long."""
        self.flush()
        self._stream.close()

    def _say(self, weight: int, event: str, fields: Mapping[str, object]) -> None:
        self._add(weight, event, fields)
        self.flush()

    def _add(self, weight: int, event: str, fields: Mapping[str, object]) -> None:
        if weight >= self._least:
            self._kept.append(self._render(_LEVELS[weight], event, {**self._always, **_NOTES.get(), **fields}))


def open_log(level: str, form: Format, version: str, stream: TextIO | None = None, worker: int = 0) -> Log:
    """Make a logger that writes to `stream`, at once, or to standard output by a thread.

    `level` is one of Python's names in any case; `version`, the server's, stands in every JSON line, and in every line
    the number of the worker, where there are several.
    """
    terminal = os.isatty(STANDARD_OUTPUT) if stream is None else stream.isatty()
    render = json_renderer(version) if form == "json" else console_renderer(colours=terminal)
    always: Mapping[str, object] = {"worker": worker} if worker else _NOTHING

    def tell(lines: int) -> str:
        return render("warning", "log lines dropped", {**always, "lines": lines})

    target = LineWriter(STANDARD_OUTPUT, tell) if stream is None else stream
    return Log(target, logging.getLevelNamesMapping()[level.upper()], render, always)


def notes() -> Mapping[str, object]:
    """What has been noted for the rpc that is being handled."""
    return _NOTES.get()


def note_wait(seconds: float) -> None:
    """Add to the time that the rpc has waited for its models, in the field `queue_ms`."""
    before = _NOTES.get().get("queue_ms", 0.0)
    note(queue_ms=round((before if isinstance(before, float) else 0.0) + seconds * 1000, 3))


def note(**fields: str | int | float) -> None:
    """Add fields to the log lines of the rpc that is being handled; never text of a request."""
    _NOTES.set({**_NOTES.get(), **fields})
