"""Broken bundles by number: the same number makes the same bundle of the same originals."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import onnx
from benchmarks.fuzz import bundle_graphs as graphs
from benchmarks.fuzz import bundle_messages as messages
from benchmarks.fuzz import bundle_wild as wild
from google.protobuf import json_format

from rhapsode.v1.bundle_pb2 import Bundle

MANIFEST = "bundle.json"
_HEADER = 8  # bytes that say how long the header of a safetensors file is
_TOLERANT = 3e38


def originals(models: Path) -> Sequence[Path]:
    """The folders of all bundles below this one, in order."""
    return sorted(path.parent for path in models.glob(f"*/*/{MANIFEST}"))


def write(number: int, bundles: Sequence[Path], into: Path) -> Path:
    """Write the mutant of this number to into/<name>/<version>/, and return that folder.

    What bundle.json lists is made true again after the change, unless bundle.json is what was changed.
    """
    dice = Random(number)
    original = dice.choice(bundles)
    folder = into / original.parent.name / original.name
    shutil.copytree(original, folder)
    bundle = json_format.Parse((folder / MANIFEST).read_text(encoding="utf-8"), Bundle())
    for _ in range(dice.choice((1, 1, 2))):
        _spoil(folder, bundle, dice)
    return folder


def _spoil(folder: Path, bundle: Bundle, dice: Random) -> None:
    kinds = [path for path in sorted(folder.iterdir()) if path.suffix in _SPOILERS]
    if not kinds:
        return
    # Graphs are what ONNX Runtime reads: they have half of all changes.
    some = [path for path in kinds if path.suffix == ".onnx"]
    path = dice.choice(some if some and dice.random() < 0.6 else kinds)
    if path.name == MANIFEST:
        _spoil_manifest(path, bundle, dice)
        return
    path.write_bytes(_SPOILERS[path.suffix](path.read_bytes(), dice))
    if dice.random() < 0.5:  # so that a graph that gives other numbers is still served
        for graph in bundle.graphs:
            graph.tolerance = _TOLERANT
    _seal(folder, bundle)


def _seal(folder: Path, bundle: Bundle) -> None:
    there = {path.name for path in folder.iterdir()}
    for entry in bundle.files:
        if entry.path in there:
            content = (folder / entry.path).read_bytes()
            entry.size, entry.sha256 = len(content), hashlib.sha256(content).hexdigest()
    text = json_format.MessageToJson(bundle, preserving_proto_field_name=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8", errors="surrogatepass")


def _spoil_manifest(path: Path, bundle: Bundle, dice: Random) -> None:
    way = dice.randrange(10)
    if way == 0:
        path.write_bytes(wild.spoilt_bytes(path.read_bytes(), dice))
    elif way <= 3:
        path.write_text(json.dumps(wild.spoilt_json(json.loads(path.read_text("utf-8")), dice)), encoding="utf-8")
    else:
        messages.spoil(bundle, dice)
        try:
            path.write_text(json_format.MessageToJson(bundle, preserving_proto_field_name=True), encoding="utf-8")
        except ValueError:  # a text that is no Unicode
            path.write_bytes(wild.spoilt_bytes(path.read_bytes(), dice))


def _spoilt_graph(content: bytes, dice: Random) -> bytes:
    if dice.random() < 0.1:
        return wild.spoilt_bytes(content, dice)
    try:
        model = onnx.load_model_from_string(content)
        graphs.spoil(model, dice)
        return model.SerializeToString()
    except Exception:  # a second change of what the first has made unreadable
        return wild.spoilt_bytes(content, dice)


def _spoilt_tensors(content: bytes, dice: Random) -> bytes:
    """A safetensors file with another header, other numbers, or other bytes."""
    size = int.from_bytes(content[:_HEADER], "little")
    header, data = content[_HEADER : _HEADER + size], content[_HEADER + size :]
    if (way := dice.randrange(4)) == 0:
        return wild.spoilt_bytes(content, dice)
    if way == 1:
        return content[:_HEADER] + header + wild.spoilt_bytes(data, dice)
    if way == 2:
        return wild.whole(dice, 64, signed=False).to_bytes(_HEADER, "little") + header + data
    return _with_header(_spoilt_document(header, dice), data)


def _with_header(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(_HEADER, "little") + header + data


def _spoilt_document(content: bytes, dice: Random) -> bytes:
    try:
        return json.dumps(wild.spoilt_json(json.loads(content), dice)).encode()
    except ValueError:
        return wild.spoilt_bytes(content, dice)


_SPOILERS: Mapping[str, Callable[[bytes, Random], bytes]] = {
    ".onnx": _spoilt_graph,
    ".safetensors": _spoilt_tensors,
    ".json": _spoilt_document,
}
