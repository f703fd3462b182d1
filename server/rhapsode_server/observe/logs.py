"""The server's logs: one JSON object a line on standard output, or lines for people."""

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["json", "console"]
Log = structlog.typing.FilteringBoundLogger


def open_log(level: str, form: Format, version: str, stream: TextIO | None = None) -> Log:
    """Make a logger that writes to `stream` (standard output where None); nothing is set for others who use structlog.

    `level` is one of Python's names in any case; `version`, the server's, stands in every JSON line.
    """
    target = sys.stdout if stream is None else stream
    processors: list[Processor] = [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level]
    wrapper = structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])
    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(target),
        processors=[*processors, *_rendering(form, version, colours=target.isatty())],
        wrapper_class=wrapper,
        context_class=dict,
        cache_logger_on_first_use=True,
    ).bind()
    return log


def note(**fields: str | int | float) -> None:
    """Add fields to the log lines of the rpc that is being handled; never text of a request."""
    structlog.contextvars.bind_contextvars(**fields)


def forget() -> None:
    """Start an rpc without what was noted before it."""
    structlog.contextvars.clear_contextvars()


def _rendering(form: Format, version: str, *, colours: bool) -> list[Processor]:
    if form == "console":
        return [
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=colours),
        ]

    def name_service(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = "rhapsode"
        event["version"] = version
        return event

    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("msg"),
        name_service,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
