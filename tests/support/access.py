"""Access files for tests, and what their clients send."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

PAST = "2001-01-01T00:00:00Z"
Entry = Mapping[str, Any]


def digest(token: str) -> str:
    """What stands in the file for a token."""
    return sha256(token.encode()).hexdigest()


def entry(name: str, *tokens: str, expired: Sequence[str] = (), **fields: object) -> Entry:
    """A client that may do everything, but for what the fields say."""
    shown = [{"sha256": digest(token)} for token in tokens]
    old = [{"sha256": digest(token), "expires": PAST} for token in expired]
    return {"name": name, "tokens": [*shown, *old], "methods": ["*"], "models": ["*"]} | fields


def write(path: Path, *entries: Entry) -> str:
    """Put an access file there, at once."""
    lines = []
    for one in entries:
        lines.append("[[clients]]")
        lines += (f"{key} = {_toml(value)}" for key, value in one.items())
    fresh = path.with_suffix(".new")
    fresh.write_text("\n".join(lines), encoding="utf-8")
    fresh.replace(path)
    return str(path)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a client with this token."""
    return (("authorization", f"Bearer {token}"),)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return PAST if value == PAST else json.dumps(value)
