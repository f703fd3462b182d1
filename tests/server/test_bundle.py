"""Every rule that docs/bundle.md gives for files and manifests is broken here, and the server says which."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode.v1 import bundle_pb2
from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_server.repository import bundle as bundles
from rhapsode_server.repository import limits, schema
from support.breaking import Break, check_line, edit, refusal, said, write
from support.bundles import (
    CRITIC,
    autoencoder,
    class_generator,
    grey_generator,
    stepper,
    write_all,
)


def test_whole_bundles_are_read(tmp_path: Path) -> None:
    for name, folder in write_all(tmp_path).items():
        manifest = bundles.read(folder)
        assert manifest.label == f"{name}/1"
        assert manifest.digest == hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()
        for graph in manifest.bundle.graphs:
            assert manifest.graphs[graph.role] == (folder / graph.file).read_bytes()
        assert manifest.goldens.keys() == manifest.graphs.keys()


def test_a_bundle_that_changes_after_reading_is_still_the_one_that_was_hashed(tmp_path: Path) -> None:
    folder = stepper().write(tmp_path)
    before = (folder / "step.onnx").read_bytes()
    manifest = bundles.read(folder)
    (folder / "step.onnx").write_bytes(b"other")
    assert list(manifest.graphs.values()) == [before]


def text(old: str, new: str) -> Break:
    def change(folder: Path) -> None:
        path = folder / "bundle.json"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return change


def link(folder: Path) -> None:
    (folder / "card.md").rename(folder.parent / "card.md")
    (folder / "card.md").symlink_to(folder.parent / "card.md")


def link_the_version(folder: Path) -> None:
    folder.rename(folder.parent / "real")
    folder.symlink_to(folder.parent / "real")


def many_files(folder: Path) -> None:
    for number in range(limits.FILES):
        (folder / f"extra{number}").touch()
    write(folder, "extra", b"")


def huge_manifest(folder: Path) -> None:
    with (folder / "bundle.json").open("a") as file:
        file.write(" " * limits.MANIFEST_BYTES)


def flip(name: str) -> Break:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return change


FILES: list[tuple[str, str, Break]] = [
    ("F1", "'../secret'", said(lambda b: b.files.add(path="../secret"))),
    ("F1", "'/etc/passwd'", said(lambda b: b.files.add(path="/etc/passwd"))),
    ("F1", "'a/b'", said(lambda b: b.files.add(path="a/b"))),
    ("F1", "'.hidden'", said(lambda b: b.files.add(path=".hidden"))),
    ("F1", "''", said(lambda b: b.files.add())),
    ("F1", r"'a\nb'", said(lambda b: b.files.add(path="a\nb"))),
    ("F2", "bundle.json: is missing", lambda folder: (folder / "bundle.json").unlink()),
    ("F3", "'card.md': is a link", link),
    ("F3", "is a link", link_the_version),
    ("F3", "'inner': is not a plain file", lambda folder: (folder / "inner").mkdir()),
    ("F4", "'notes.txt': is not listed", lambda folder: (folder / "notes.txt").touch()),
    ("F4", "card.md: is listed, but missing", lambda folder: (folder / "card.md").unlink()),
    ("F4", "'card.md': is listed more than once", said(lambda b: b.files.append(b.files[0]))),
    ("F5", "step.onnx: has another SHA-256", flip("step.onnx")),
    ("F5", "card.md: has another SHA-256", flip("card.md")),
    ("F5", "card.md: has 3 bytes, bundle.json says 15", lambda folder: (folder / "card.md").write_bytes(b"abc")),
    ("F5", "card.md: has 99 bytes", lambda folder: (folder / "card.md").write_bytes(b"a" * 99)),
    ("F5", "card.md: has another SHA-256", said(lambda b: setattr(b.files[0], "sha256", b.files[0].sha256.upper()))),
    ("F6", "lists 68 files", many_files),
    ("F6", "bundle.json: is larger", huge_manifest),
    ("F6", "card.md: is larger", said(lambda b: setattr(b.files[0], "size", 2**31))),
]
MANIFEST: list[tuple[str, str, Break]] = [
    ("M1", "not the JSON form", lambda folder: (folder / "bundle.json").write_bytes(b"")),
    ("M1", "not the JSON form", lambda folder: (folder / "bundle.json").write_bytes(b"\xff\xfe")),
    ("M1", "not the JSON form", lambda folder: (folder / "bundle.json").write_text("[" * 100_000)),
    ("M1", '"colour"', text('"name"', '"colour": 1, "name"')),
    ("M1", "duplicate key", text('"name"', '"name": "x", "name"')),
    ("M1", "MODEL_KIND_DREAMER", text("MODEL_KIND_SEQUENCE", "MODEL_KIND_DREAMER")),
    ("M1", "schema_version: is 2", said(lambda b: setattr(b, "schema_version", 2))),
    ("M2", "name: is 'other'", said(lambda b: setattr(b, "name", "other"))),
    ("M2", "name: is 'tiny-text.decode'", said(lambda b: setattr(b, "name", "tiny-text.decode"))),
    (
        "M2",
        "version: is 7 in bundle.json, the folder is named '1': they must be equal",
        said(lambda b: setattr(b, "version", 7)),
    ),
    ("M3", "kind: is not said", said(lambda b: b.ClearField("kind"))),
    ("M3", "has no step graph", said(lambda b: b.ClearField("graphs"))),
    ("M3", "has a role twice", said(lambda b: b.graphs.append(b.graphs[0]))),
    ("M3", "has the role critic", said(lambda b: b.graphs.add(role=CRITIC))),
    ("M3", "has the role unspecified", said(lambda b: b.graphs.add())),
    ("M4", "'other.onnx'", said(lambda b: setattr(b.graphs[0], "file", "other.onnx"))),
    ("M4", "'../step.onnx'", said(lambda b: setattr(b.graphs[0], "file", "../step.onnx"))),
    ("M4", "it is step.onnx, listed in files", said(lambda b: b.files.pop())),
    ("M5", "sequence: stands exactly where", said(lambda b: b.ClearField("sequence"))),
    ("M5", "latent: stands exactly where", said(lambda b: b.latent.SetInParent())),
    ("M5", "image: stands exactly where", said(lambda b: b.image.SetInParent())),
    ("M6", "has no tokens", said(lambda b: b.sequence.ClearField("vocabulary"))),
    ("M6", "tokens: has an entry twice", said(lambda b: b.sequence.vocabulary.tokens.append("a"))),
    ("M6", "empty or longer", said(lambda b: b.sequence.vocabulary.tokens.append(""))),
    ("M6", "empty or longer", said(lambda b: b.sequence.vocabulary.tokens.append("x" * 257))),
    ("M6", "start_token: is 30", said(lambda b: setattr(b.sequence.vocabulary, "start_token", 30))),
    ("M6", "end_token: is 99", said(lambda b: setattr(b.sequence.vocabulary, "end_token", 99))),
    ("M6", "unknown_token: is 30", said(lambda b: setattr(b.sequence.vocabulary, "unknown_token", 30))),
    ("M6", "only decode, denoise, gibbs and critic graphs have classes", said(lambda b: b.classes.append("cat"))),
    ("M7", "step.onnx: tolerance", said(lambda b: setattr(b.graphs[0], "tolerance", float("nan")))),
    ("M7", "step.onnx: tolerance", said(lambda b: setattr(b.graphs[0], "tolerance", -1e-3))),
    ("M7", "metrics: 'held_out_error'", said(lambda b: setattr(b.metrics[0], "value", float("inf")))),
    ("M7", "metrics: ''", said(lambda b: b.metrics.add(value=1))),
    ("M7", "duration_seconds", said(lambda b: setattr(b.training, "duration_seconds", -1))),
    ("M8", "licence: is empty", said(lambda b: setattr(b, "licence", " "))),
    ("M8", "description: is empty", said(lambda b: b.ClearField("description"))),
]
PICTURES: list[tuple[str, str, Break]] = [
    ("M3", "has no encode graph", said(lambda b: b.graphs.pop())),
    ("M5", "latent: stands exactly where", said(lambda b: b.ClearField("latent"))),
    ("M5", "latent.size", said(lambda b: setattr(b.latent, "size", 0))),
    ("M5", "latent.prior", said(lambda b: b.latent.ClearField("prior"))),
    ("M5", "image.channels", said(lambda b: setattr(b.image, "channels", 2))),
    ("M5", "height and width", said(lambda b: setattr(b.image, "width", 4097))),
    ("M6", "classes: has an entry twice", said(lambda b: b.classes.extend(["cat", "cat"]))),
    ("M7", "low below high", said(lambda b: setattr(b.image, "low", b.image.high))),
    ("M7", "low below high", said(lambda b: setattr(b.image, "high", float("inf")))),
    ("M7", "mean_radius", said(lambda b: setattr(b.latent, "mean_radius", float("nan")))),
]


@pytest.mark.parametrize(("rule", "told", "change"), FILES + MANIFEST, ids=lambda value: str(value)[:24])
def test_a_broken_text_model_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = stepper().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)


@pytest.mark.parametrize(("rule", "told", "change"), PICTURES, ids=lambda value: str(value)[:24])
def test_a_broken_autoencoder_is_refused(tmp_path: Path, rule: str, told: str, change: Break) -> None:
    folder = autoencoder().write(tmp_path)
    change(folder)
    check_line(refusal(folder), folder, rule, told)


def test_every_problem_of_one_kind_is_told_at_once(tmp_path: Path) -> None:
    folder = grey_generator().write(tmp_path)
    edit(folder, lambda bundle: bundle.ClearField("licence"))
    edit(folder, lambda bundle: bundle.latent.ClearField("prior"))
    edit(folder, lambda bundle: setattr(bundle.image, "channels", 4))
    assert re.findall(r"M\d", refusal(folder)) == ["M8", "M5", "M5"]


@pytest.mark.parametrize(("call", "what"), [("open", "bundle.json"), ("scandir", "the folder")])
def test_what_cannot_be_read_is_a_problem_not_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, what: str
) -> None:
    folder = class_generator().write(tmp_path)

    def deny(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, call, deny)  # tests that run as root can read everything
    message = refusal(folder)
    monkeypatch.undo()
    assert message == f"bundle tiny-shapes/1: {what}: cannot be read: Permission denied (docs/bundle.md, F2)"


def test_lower_camel_case_is_read_too(tmp_path: Path) -> None:
    folder = stepper().write(tmp_path)
    text('"schema_version"', '"schemaVersion"')(folder)
    assert bundles.read(folder).bundle.schema_version == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(field=st.sampled_from([field.name for field in Bundle.DESCRIPTOR.fields]), value=JSON)
def test_whatever_stands_in_a_field_gives_a_bundle_or_a_bundle_error(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any
) -> None:
    folder = tmp_path_factory.mktemp("models") / "tiny" / "1"
    folder.mkdir(parents=True)
    manifest = {"schema_version": 1, "name": "tiny", "version": 1, "kind": "MODEL_KIND_SEQUENCE", field: value}
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "docs/bundle.md" in refusal(folder)


def test_every_kind_and_role_is_known_to_the_rules() -> None:
    assert set(schema.ROLE_NAMES) == set(bundle_pb2.GraphRole.values()) - {0}
    assert schema.KINDS.keys() == set(bundle_pb2.ModelKind.values()) - {0}
