"""One bundle read from its folder: parsed, hashed and checked, but not run."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.repository import (
    attributes,
    code,
    contract,
    files,
    goldens,
    graph,
    schema,
    sequences,
    tokenizer,
)
from rhapsode_server.repository.attributes import Vectors
from rhapsode_server.repository.goldens import Golden
from rhapsode_server.repository.problems import Problem, refusal, refuse
from rhapsode_server.repository.tokenizer import Cutter

_KEPT = {schema.GOLDENS, schema.TOKENIZER, *schema.TENSOR_FILES}


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A bundle whose files are all there, unchanged, and what they say they are."""

    bundle: Bundle
    digest: str
    """SHA-256 of bundle.json, which binds every other file: 64 hexadecimal digits."""
    folder: Path
    graphs: Mapping[int, bytes]
    """The serialised ONNX model of each role: the very bytes that were hashed."""
    goldens: Mapping[int, Golden]
    """Recorded inputs and outputs of each role."""
    attributes: Vectors
    """The direction of each named attribute."""
    frequencies: NDArray[np.int32] | None
    """Of the values of each number of a code; None where the model does not compress."""
    cutter: Cutter | None
    """What cuts text into tokens; None where that is the vocabulary alone."""

    @property
    def label(self) -> str:
        """How errors name the bundle: "name/version"."""
        return files.label(self.folder)


@dataclass(frozen=True, slots=True)
class Announced:
    """What bundle.json says of a bundle before anything else of it is read."""

    digest: str
    """SHA-256 of bundle.json, as in Manifest."""
    size: int
    """Bytes of the files that it lists."""
    graphs: frozenset[str] = frozenset()
    """The roles of its graphs."""


def announced(folder: Path) -> Announced:
    """Read bundle.json alone; BundleError where it is missing, or is none."""
    content = files.read_manifest(folder)
    bundle = _parse(content, folder)
    size = sum(file.size for file in bundle.files)
    return Announced(hashlib.sha256(content).hexdigest(), size, schema.graphs(bundle))


def read(folder: Path) -> Manifest:
    """Read models/<name>/<version>/; BundleError, with a line for each problem found, where a rule is broken.

    Checks go from cheap to dear: nothing but bundle.json is opened before it is sound, and no graph is parsed before
    all hashes agree.
    """
    content = files.read_manifest(folder)
    bundle = _parse(content, folder)
    where = files.label(folder)
    whole = schema.check(bundle, folder.parent.name, folder.name)
    parts = (sequences.check(bundle), attributes.check(bundle), code.check(bundle), tokenizer.check(bundle))
    refuse(where, (*whole, *chain.from_iterable(parts)))
    refuse(where, (problem for part in bundle.graphs for problem in contract.check(bundle, part)))
    kept = files.read_listed(folder, bundle.files, {part.file for part in bundle.graphs} | _KEPT)
    refuse(files.label(folder), (problem for part in bundle.graphs for problem in graph.check(kept[part.file], part)))
    return Manifest(
        bundle,
        hashlib.sha256(content).hexdigest(),
        folder,
        {part.role: kept[part.file] for part in bundle.graphs},
        goldens.read(kept[schema.GOLDENS], bundle),
        attributes.read(kept[schema.ATTRIBUTES], bundle) if bundle.attributes else attributes.NONE,
        code.read(kept[schema.CODE], bundle) if bundle.HasField("code") else None,
        tokenizer.read(kept[schema.TOKENIZER], bundle) if bundle.sequence.vocabulary.tokenizer else None,
    )


def _parse(content: bytes, folder: Path) -> Bundle:
    try:
        return json_format.Parse(content, Bundle())
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        text = " ".join(str(error).split())[:200]
        problem = Problem("M1", files.MANIFEST, f"is not the JSON form of a bundle: {text}")
        raise refusal(files.label(folder), problem) from error
