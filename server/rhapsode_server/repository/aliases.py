"""The aliases that a model's folder names: models/<name>/aliases.toml."""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from rhapsode_server.errors import BundleError

FILE = "aliases.toml"
PATTERN = re.compile(r"[a-z][a-z0-9_-]{0,31}")  # as in model.proto
LARGEST = 64 * 2**10  # bytes
NONE: Mapping[str, int] = MappingProxyType({})
_HIGHEST = 999_999_999  # nine digits, as folders of versions may have


def read(folder: Path) -> Mapping[str, int]:
    """The versions that the aliases of models/<name>/ name, sorted by alias; none where the file is not there.

    Raises BundleError with a line for each thing that is wrong.
    """
    label = f"{folder.name}/{FILE}"
    content = _content(folder / FILE, label)
    if content is None:
        return NONE
    try:
        named = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{label}: is no TOML: {_brief(str(error))}") from error
    if problems := [f"{label}: {problem}" for problem in _problems(named)]:
        raise BundleError("\n".join(problems))
    return MappingProxyType({alias: int(named[alias]) for alias in sorted(named)})


def _content(path: Path, label: str) -> bytes | None:
    """What the file holds; None where there is none. A link is not followed, since it may lead anywhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise BundleError(f"{label}: {problem}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BundleError(f"{label}: is not a plain file")
        try:
            content = file.read(LARGEST + 1)
        except OSError as error:
            raise BundleError(f"{label}: cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise BundleError(f"{label}: is larger than {LARGEST} bytes")
    return content


def _problems(named: Mapping[str, object]) -> Iterator[str]:
    for alias, version in named.items():
        if not PATTERN.fullmatch(alias):
            yield f"the key {_brief(repr(alias))} is no alias; the pattern is {PATTERN.pattern}"
        # True is a number to Python.
        elif not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= _HIGHEST:
            yield f"{alias}: should be the number of a version, from 1 to {_HIGHEST}"


def _brief(text: str) -> str:
    return " ".join(text.split())[:120]
