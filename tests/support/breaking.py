"""Changing bundles that are written already, with or without making their lists true again."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from google.protobuf import json_format

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.errors import BundleError
from rhapsode_server.repository import bundle as bundles
from support.bundles import seal

Break = Callable[[Path], object]
"""Breaks the bundle in a folder."""


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


def said(change: Callable[[Bundle], object]) -> Break:
    """A change of what bundle.json says."""
    return lambda folder: edit(folder, change)


def refusal(folder: Path) -> str:
    """What reading a broken bundle raises."""
    with pytest.raises(BundleError) as caught:
        bundles.read(folder)
    return caught.value.message


def check_line(message: str, folder: Path, rule: str, told: str) -> None:
    """A line for this rule says so, and no line says where the folder is."""
    lines = [line for line in message.splitlines() if line.endswith(f"(docs/bundle.md, {rule})")]
    assert any(told in line for line in lines), message
    assert all(line.startswith(f"bundle {folder.parent.name}/{folder.name}: ") for line in message.splitlines())
    assert str(folder) not in message
