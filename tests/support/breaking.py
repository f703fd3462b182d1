"""Changing bundles that are written already, with or without making their lists true again."""

from collections.abc import Callable
from pathlib import Path

import onnx
from google.protobuf import json_format

from rhapsode.v1.bundle_pb2 import Bundle
from support.bundles import seal


def manifest(folder: Path) -> Bundle:
    """The bundle.json of a folder."""
    return json_format.Parse((folder / "bundle.json").read_text(encoding="utf-8"), Bundle())


def edit(folder: Path, change: Callable[[Bundle], object]) -> None:
    """Change what bundle.json says; its list of files stays as it is, unless that is what changes."""
    bundle = manifest(folder)
    change(bundle)
    text = json_format.MessageToJson(bundle, preserving_proto_field_name=True)
    (folder / "bundle.json").write_text(text, encoding="utf-8")


def write(folder: Path, name: str, content: bytes) -> None:
    """Write a file and list it truly."""
    (folder / name).write_bytes(content)
    seal(folder, manifest(folder))


def edit_graph(folder: Path, file: str, change: Callable[[onnx.ModelProto], object]) -> None:
    """Change a graph and list its file truly; its declaration and goldens stay as they are."""
    model = onnx.load_model_from_string((folder / file).read_bytes())
    change(model)
    write(folder, file, model.SerializeToString())
