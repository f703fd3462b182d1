"""What a folder of models holds at a moment, seen without loading any of it."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias, TypedDict

from rhapsode_server.errors import BundleError
from rhapsode_server.repository import aliases, limits
from rhapsode_server.repository.files import MANIFEST
from rhapsode_server.repository.residents import Key
from rhapsode_server.repository.schema import NAME, VERSION

_SAME_TICK = 2_000_000_000  # nanoseconds; a file that is written again that soon after may show the same times
_Entry: TypeAlias = tuple[
    str, int, int, int
]  # name, bytes, nanoseconds of the last write and of the last change at all


class _File(TypedDict, total=False):
    path: str
    size: str | int  # numbers of 64 bits are text in the JSON form of messages


class _Bundle(TypedDict):
    """What is looked at of bundle.json, if it is sound."""

    files: list[_File]


@dataclass(frozen=True, slots=True)
class Sight:
    """A version's folder: equal where nothing in it has changed."""

    files: tuple[_Entry, ...]
    digest: str
    """SHA-256 of bundle.json; empty where it cannot be read."""
    missing: str
    """What it lacks to be whole; empty where it has all that bundle.json lists, which may be wrong nonetheless."""
    firm: bool = field(compare=False)
    """Whether it was read long enough after its last change to be told from any later one."""

    @property
    def size(self) -> int:
        """Bytes of the bundle's files."""
        return sum(size for name, size, *_ in self.files if name != MANIFEST)


@dataclass(frozen=True, slots=True)
class Named:
    """What the aliases file of a model says."""

    aliases: tuple[tuple[str, int], ...] = ()
    problem: str = ""
    """Why it says nothing; empty where it does."""


@dataclass(frozen=True, slots=True)
class View:
    """All of the folder."""

    versions: Mapping[Key, Sight]
    names: Mapping[str, Named]
    """Of each model that has a folder which can be read."""
    strange: Sequence[str]
    """Folders whose name is no model's, or no version's: "name" or "name/version"."""
    unread: Mapping[str, str]
    """Why the folder of a model cannot be read, by the model's name."""
    astray: Sequence[str] = ()
    """Links that bear the name of a model or version and lead nowhere, as `strange`."""


NOTHING = View(MappingProxyType({}), MappingProxyType({}), (), MappingProxyType({}))


def look(models: Path, before: View = NOTHING, now: Callable[[], int] = time.time_ns) -> View:
    """Look at models/<name>/<version>/; what has not changed since `before` is not read again.

    Names that begin with a dot, and plain files, are passed over. What cannot be read hides nothing beside it. Raises
    OSError where the folder itself cannot be read.
    """
    versions: dict[Key, Sight] = {}
    names: dict[str, Named] = {}
    strange: list[str] = []
    unread: dict[str, str] = {}
    astray = [name for name in _astray(models) if NAME.fullmatch(name)]
    for model in _folders(models):
        if not NAME.fullmatch(model.name):
            strange.append(model.name)
            continue
        try:
            for folder in _folders(model):
                if not VERSION.fullmatch(folder.name):
                    strange.append(f"{model.name}/{folder.name}")
                    continue
                key = model.name, int(folder.name)
                versions[key] = _sight(folder, before.versions.get(key), now())
            names[model.name] = _named(model)
            astray += [f"{model.name}/{name}" for name in _astray(model) if VERSION.fullmatch(name)]
        except OSError as error:
            unread[model.name] = error.strerror or type(error).__name__
    return View(versions, names, strange, unread, astray)


def _folders(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry))
    return (folder / name for name in names)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to where nobody may look, or round in a circle
        return True


def _astray(folder: Path) -> Sequence[str]:
    with os.scandir(folder) as entries:
        return sorted(each.name for each in entries if each.is_symlink() and not (folder / each.name).exists())


def _sight(folder: Path, before: Sight | None, now: int) -> Sight:
    try:
        entries = _entries(folder)
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or type(error).__name__}"
        return Sight((), "", reason, firm=False)  # that it lies there is all that is known
    if before is not None and before.firm and before.files == entries:
        return before
    content = _manifest(folder)
    digest = hashlib.sha256(content).hexdigest() if content is not None else ""
    newest = max((max(written, changed) for _, _, written, changed in entries), default=0)
    return Sight(entries, digest, _missing(content, entries), newest + _SAME_TICK < now)


def _entries(folder: Path) -> tuple[_Entry, ...]:
    """What lies in it, as far as it matters: a folder of more files than a bundle may have is refused anyhow."""
    try:
        with os.scandir(folder) as found:
            some = [(entry.name, entry.stat(follow_symlinks=False)) for entry in islice(found, 4 * limits.FILES)]
    except FileNotFoundError:  # removed in this moment
        return ()
    return tuple(sorted((name, of.st_size, of.st_mtime_ns, of.st_ctime_ns) for name, of in some))


def _manifest(folder: Path) -> bytes | None:
    try:
        descriptor = os.open(folder / MANIFEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limits.MANIFEST_BYTES + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except FileNotFoundError:
        return None
    except OSError:  # the load will say why
        return b""


def _missing(content: bytes | None, entries: Sequence[_Entry]) -> str:
    """What a copy that is under way has not brought yet. What no copy brings is left to the load to complain of."""
    if content is None:
        return f"{MANIFEST} is missing"
    if not content or len(content) > limits.MANIFEST_BYTES:
        return ""
    try:
        bundle = json.loads(content)
    except (ValueError, RecursionError):
        return f"{MANIFEST} is not whole"
    try:
        listed = _listed(bundle)
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
    present = {name: size for name, size, *_ in entries if name != MANIFEST}
    for name, size in listed.items():
        if present.get(name) != size:
            return f"{name!r:.80} is not whole" if name in present else f"{name!r:.80} is missing"
    surplus = sorted(set(present).difference(listed))
    return f"{surplus[0]!r:.80} is not listed in {MANIFEST}" if surplus else ""


def _listed(bundle: _Bundle) -> Mapping[str, int]:
    """The size of each file."""
    return {str(file["path"]): int(file.get("size", 0)) for file in bundle["files"]}


def _named(model: Path) -> Named:
    try:
        return Named(tuple(aliases.read(model).items()))
    except BundleError as error:
        return Named(problem=error.message)
