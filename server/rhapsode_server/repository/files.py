"""Reading a bundle's files: those that are listed, unchanged, and no others."""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rhapsode.v1.bundle_pb2 import BundleFile
from rhapsode_server.repository import limits
from rhapsode_server.repository.problems import Problem, refusal, refuse

MANIFEST = "bundle.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def read_manifest(folder: Path) -> bytes:
    """The bytes of bundle.json; BundleError where it is missing, a link or too large."""
    problems = list(_entry_problems(folder))
    if not problems and not (folder / MANIFEST).exists():
        problems.append(Problem("F2", MANIFEST, "is missing"))
    refuse(label(folder), problems)
    with _opened(folder / MANIFEST) as file:
        content = file.read(limits.MANIFEST_BYTES + 1)  # the one more shows that it is too long
    if len(content) > limits.MANIFEST_BYTES:
        raise refusal(label(folder), Problem("F6", MANIFEST, f"is larger than {limits.MANIFEST_BYTES} bytes"))
    return content


def read_listed(folder: Path, listed: Sequence[BundleFile], keep: Collection[str]) -> Mapping[str, bytes]:
    """Check every file of the folder against the list; give back the content of those to keep.

    Nothing is read beyond the listed size, and what was hashed is what is given back. Raises BundleError.
    """
    refuse(label(folder), _list_problems(folder, listed))
    problems: list[Problem] = []
    kept: dict[str, bytes] = {}
    for entry in listed:
        with _opened(folder / entry.path) as file:
            size = os.fstat(file.fileno()).st_size
            # A size that is a lie must not ask for its memory.
            content = file.read(entry.size + 1) if size == entry.size else b""
        if len(content) != entry.size:
            problems.append(Problem("F5", entry.path, f"has {size} bytes, {MANIFEST} says {entry.size}"))
        elif hashlib.sha256(content).hexdigest() != entry.sha256:
            problems.append(Problem("F5", entry.path, f"has another SHA-256 than {MANIFEST} says"))
        if entry.path in keep:
            kept[entry.path] = content
    refuse(label(folder), problems)
    return kept


def label(folder: Path) -> str:
    """How errors name a bundle: "name/version"."""
    return f"{folder.parent.name}/{folder.name}"


def _entry_problems(folder: Path) -> Iterator[Problem]:
    """What lies in the folder and is not a plain file; links are never followed."""
    for link in (folder.parent, folder):
        if link.is_symlink():
            yield Problem("F3", link.name, "is a link")
    for entry in _entries(folder):
        if not entry.is_file(follow_symlinks=False):
            kind = "a link" if entry.is_symlink() else "not a plain file"
            yield Problem("F3", repr(entry.name), f"is {kind}")


def _list_problems(folder: Path, listed: Sequence[BundleFile]) -> Iterator[Problem]:
    if len(listed) > limits.FILES:
        yield Problem("F6", "files", f"lists {len(listed)} files, the most is {limits.FILES}")
        return  # no list without end is gone through
    paths = [entry.path for entry in listed]
    present = {entry.name for entry in _entries(folder)} - {MANIFEST}
    if (size := sum(entry.size for entry in listed)) > limits.BUNDLE_BYTES:
        yield Problem("F6", "files", f"has {size} bytes in all, the most is {limits.BUNDLE_BYTES}")
    for path in sorted(path for path, count in Counter(paths).items() if count > 1):
        yield Problem("F4", repr(path), "is listed more than once")
    for entry in listed:
        if not _NAME.fullmatch(entry.path):
            yield Problem("F1", f"files: {entry.path!r}", "is not a plain file name; a bundle has no folders inside")
        elif entry.path not in present:
            yield Problem("F4", entry.path, "is listed, but missing")
        elif entry.size > limits.FILE_BYTES:
            yield Problem("F6", entry.path, f"is larger than {limits.FILE_BYTES} bytes")
    for name in sorted(present.difference(paths)):
        yield Problem("F4", repr(name), f"is not listed in {MANIFEST}")


def _entries(folder: Path) -> Sequence[os.DirEntry[str]]:
    with _readable(folder, "the folder"):
        return sorted(os.scandir(folder), key=lambda entry: entry.name)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A plain file, open; BundleError where it is something else by now, which must not keep us waiting."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _readable(path.parent, path.name), os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise refusal(label(path.parent), Problem("F3", path.name, "is not a plain file"))
        yield file


@contextmanager
def _readable(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refusal(label(folder), Problem("F2", what, f"cannot be read: {error.strerror}")) from error
