"""Reading a bundle folder back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.json_format import Parse, ParseError
from safetensors import SafetensorError
from safetensors.numpy import load

from rhapsode.v1.bundle_pb2 import Bundle, Graph
from rhapsode_exporter.bundle.export import role_name
from rhapsode_exporter.bundle.goldens import FILE, Golden
from rhapsode_exporter.bundle.onnx_runtime import Tensors
from rhapsode_exporter.bundle.whole import MANIFEST
from rhapsode_exporter.data.archives import sha256_of
from rhapsode_exporter.errors import BundleUnreadableError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, eq=False)
class StoredBundle:
    """A bundle whose files are those that its manifest lists, with the goldens of each of its graphs, in order."""

    folder: Path
    manifest: Bundle
    goldens: tuple[Golden, ...]


def read_bundle(folder: Path) -> StoredBundle:
    """Read models/NAME/VERSION; BundleUnreadableError where it is not a whole bundle.

    The files are compared with their hashes; whether they do what the manifest says is for `rhapsode-server --check`.
    """
    manifest = _read_manifest(folder / MANIFEST)
    if problems := [*_file_problems(folder, manifest)]:
        raise BundleUnreadableError(f"{folder} is not a whole bundle: {'; '.join(problems)}; write it again")
    try:
        tensors = load((folder / FILE).read_bytes())
        goldens = tuple(_golden(graph, tensors) for graph in manifest.graphs)
    except (SafetensorError, KeyError) as error:
        raise BundleUnreadableError(f"{folder / FILE} lacks what the graphs need: {error}; write it again") from error
    return StoredBundle(folder, manifest, goldens)


def _read_manifest(path: Path) -> Bundle:
    try:
        return Parse(path.read_bytes(), Bundle())
    except OSError as error:
        text = f"{path.parent} holds no bundle ({error.strerror}: {path.name}); name a folder such as models/NAME/1"
        raise BundleUnreadableError(text) from error
    except (ParseError, UnicodeDecodeError) as error:
        raise BundleUnreadableError(f"{path} is not the manifest of a bundle: {error}") from error


def _file_problems(folder: Path, manifest: Bundle) -> Iterator[str]:
    needed = {FILE, *(graph.file for graph in manifest.graphs)}
    for name in sorted(needed.difference(file.path for file in manifest.files)):
        yield f"{MANIFEST} does not list {name!r} among files"
    for file in manifest.files:
        if not _NAME.fullmatch(file.path):
            yield f"{file.path!r} is no name of a file"
        elif not (folder / file.path).is_file():
            yield f"{file.path} is not there"
        elif sha256_of(folder / file.path) != file.sha256:
            yield f"{file.path} is not what its hash says"


def _golden(graph: Graph, tensors: Tensors) -> Golden:
    stem = role_name(graph.role)
    return Golden(
        graph.role,
        {spec.name: tensors[f"{stem}.inputs.{spec.name}"] for spec in graph.inputs},
        {spec.name: tensors[f"{stem}.outputs.{spec.name}"] for spec in graph.outputs},
    )
