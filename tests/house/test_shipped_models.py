"""The bundles in models/ are whole, documented and small."""

import hashlib
import json
from pathlib import Path

import pytest
from google.protobuf import json_format

from house.project import ROOT
from rhapsode.v1 import bundle_pb2

MODELS = ROOT / "models"
MEGABYTE = 1_000_000
TOTAL = 40 * MEGABYTE
LARGEST = {"shakespeare-rnn": 11 * MEGABYTE, "shakespeare-rnn-int8": 4 * MEGABYTE}
LARGEST_OTHER = 3 * MEGABYTE
SHIPPED = (
    "code-rnn",
    "digits-bayes",
    "digits-critic",
    "digits-dbm",
    "digits-diffusion",
    "digits-gan",
    "digits-rbm",
    "digits-restore",
    "encrypt-receiver",
    "encrypt-sender",
    "faces-codec",
    "faces-vae",
    "fashion-gan",
    "fiddle-rnn",
    "glyphs-bold",
    "headlines-critic",
    "headlines-rnn",
    "molecules-rnn",
    "names-rnn",
    "shakespeare-ngram",
    "shakespeare-rnn",
    "shakespeare-rnn-int8",
    "shapes-vae",
)


def bundles(models: Path) -> list[Path]:
    """The folders of all versions of all models."""
    return sorted(manifest.parent for manifest in models.glob("*/*/bundle.json"))


def size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def file_offences(folder: Path) -> list[str]:
    """What bundle.json says of the folder's files that is not so."""
    declared = {
        entry["path"]: entry for entry in json.loads((folder / "bundle.json").read_text(encoding="utf-8"))["files"]
    }
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"bundle.json"}
    found = [f"{name} is not in both" for name in sorted(present ^ set(declared))]
    for name in sorted(present & set(declared)):
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != declared[name]["sha256"] or len(content) != int(
            declared[name]["size"]
        ):
            found.append(f"{name} is not what its hash says")
    return found


def test_the_shipped_models_are_there_and_fit() -> None:
    assert {folder.parent.name for folder in bundles(MODELS)} >= set(SHIPPED)
    assert size(MODELS) <= TOTAL


@pytest.mark.parametrize("folder", bundles(MODELS), ids=lambda folder: f"{folder.parent.name}@{folder.name}")
def test_a_shipped_bundle_is_whole(folder: Path) -> None:
    assert file_offences(folder) == []
    assert size(folder) <= LARGEST.get(folder.parent.name, LARGEST_OTHER)
    assert any((folder / name).exists() for name in ("preview.png", "preview.txt"))


@pytest.mark.parametrize("folder", bundles(MODELS), ids=lambda folder: f"{folder.parent.name}@{folder.name}")
def test_a_shipped_bundle_says_where_it_comes_from(folder: Path) -> None:
    bundle = json_format.Parse((folder / "bundle.json").read_text(encoding="utf-8"), bundle_pb2.Bundle())
    card = (folder / "card.md").read_text(encoding="utf-8")
    said = (bundle.description, bundle.licence, bundle.training.data.name, bundle.training.data.licence)
    assert [text for text in said if not text or text not in card] == []
    assert [metric.name for metric in bundle.metrics if metric.name not in card] == []
    assert bundle.metrics


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("as trained", encoding="utf-8")
    entry = {"path": "card.md", "size": "10", "sha256": hashlib.sha256(b"as trained").hexdigest()}
    (tmp_path / "bundle.json").write_text(json.dumps({"files": [entry]}), encoding="utf-8")
    assert file_offences(tmp_path) == []
    (tmp_path / "card.md").write_text("as changed", encoding="utf-8")
    (tmp_path / "more.onnx").write_bytes(b"")
    assert file_offences(tmp_path) == ["more.onnx is not in both", "card.md is not what its hash says"]
