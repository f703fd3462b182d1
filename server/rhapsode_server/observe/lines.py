"""How a line of the log looks: a JSON object, or words for people."""

import json
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from math import isfinite

import structlog

Render = Callable[[str, str, Mapping[str, object]], str]  # level, event, fields → line

_encode = json.JSONEncoder(default=str).encode


def json_renderer(version: str) -> Render:
    """Make JSON objects that bear the server's version, in ASCII: no line ends early, whatever stands in it.

    Written out by hand: structlog takes four times as long, and every rpc has a line.
    """
    end = f', "service": "rhapsode", "version": {_encode(version)}}}\n'

    def render(level: str, event: str, fields: Mapping[str, object]) -> str:
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        parts = [f'{{"msg": {encode_basestring_ascii(event)}, "level": "{level}", "ts": "{now}Z"']
        parts += [f'"{name}": {_word(value)}' for name, value in _told(fields).items()]
        return ", ".join(parts) + end

    return render


def console_renderer(*, colours: bool) -> Render:
    """Make lines for people, of which no text can move the cursor or begin another."""
    inner = structlog.dev.ConsoleRenderer(colors=colours)

    def render(level: str, event: str, fields: Mapping[str, object]) -> str:
        now = f"{datetime.now().astimezone():%H:%M:%S}"
        return f"{inner(None, level, {'timestamp': now, 'level': level, 'event': event, **_harmless(_told(fields))})}\n"

    return render


def _told(fields: Mapping[str, object]) -> Mapping[str, object]:
    """The fields, an exception in `exc_info` as its traceback."""
    error = fields.get("exc_info")
    if not isinstance(error, BaseException):
        return fields
    told = "".join(traceback.format_exception(error)).rstrip()
    return {**{name: value for name, value in fields.items() if name != "exc_info"}, "exception": told}


def _harmless(fields: Mapping[str, object]) -> Mapping[str, object]:
    """The fields, control characters in their texts told by their escapes; a traceback keeps its lines."""
    return {
        name: "\n".join(map(_printable, value.split("\n") if name == "exception" else [value]))
        if isinstance(value, str)
        else value
        for name, value in fields.items()
    }


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _word(value: object) -> str:
    """The value in JSON; what nearly all values are does without the encoder."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    plain = type(value) is int or (isinstance(value, float) and isfinite(value))
    return repr(value) if plain else _encode(value)
