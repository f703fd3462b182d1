"""A bundle folder, written whole or not at all."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from google.protobuf.json_format import MessageToJson

from rhapsode.v1.bundle_pb2 import Bundle, BundleFile, GraphRole
from rhapsode_exporter.data.archives import sha256_of

MANIFEST = "bundle.json"
_ROLES = "|".join(sorted(name.removeprefix("GRAPH_ROLE_").lower() for name, number in GraphRole.items() if number))
NAME = re.compile(rf"(?!.*[.](?:{_ROLES})$)[a-z0-9][a-z0-9._-]{{0,63}}")  # of a bundle: rule M2 of docs/bundle.md


def seal(bundle: Bundle, part: Path) -> None:
    """List every file of the folder in the bundle with its hash, then write the manifest beside them."""
    bundle.files.extend(_file(path) for path in sorted(part.iterdir()))
    content = MessageToJson(bundle, preserving_proto_field_name=True, indent=2, ensure_ascii=False)
    (part / MANIFEST).write_text(content + "\n", encoding="utf-8")


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` that takes its place at the end, or vanishes where an error is raised."""
    made = [parent for parent in (folder.parent, folder.parent.parent) if not parent.exists()]
    part = folder.parent / f".{folder.name}.{os.getpid()}.part"
    part.mkdir(parents=True)
    try:
        yield part
        _replace(folder, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):  # somebody else may have put something there
            for parent in made:
                parent.rmdir()
        raise


def _replace(folder: Path, part: Path) -> None:
    """Put `part` in the place of `folder`, which may be there already and stays there where that fails."""
    old = part.with_suffix(".old")
    if folder.exists():
        folder.rename(old)
    try:
        part.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _file(path: Path) -> BundleFile:
    return BundleFile(path=path.name, size=path.stat().st_size, sha256=sha256_of(path))
