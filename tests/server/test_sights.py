"""A folder of models as it is seen without loading any of it."""

import os
import shutil
from pathlib import Path

import pytest

from rhapsode_server.repository.sights import NOTHING, Named, View, look
from support.bundles import grey_generator, stepper

LATER = 10**19  # nanoseconds since 1970, long after every write of a test


@pytest.fixture
def models(tmp_path: Path) -> Path:
    stepper().write(tmp_path)
    return tmp_path


def seen(models: Path, before: View = NOTHING) -> View:
    return look(models, before, lambda: LATER)


def missing(models: Path) -> str:
    return seen(models).versions["tiny-text", 1].missing


def test_versions_aliases_and_strange_folders_are_seen(models: Path) -> None:
    stepper(version=12).write(models)
    grey_generator().write(models)
    (models / "tiny-text" / "aliases.toml").write_text("stable = 1", "utf-8")
    (models / "tiny-digits" / "aliases.toml").write_text("stable = 0", "utf-8")
    for strange in ("Nobody/1", "tiny-text/v1", "tiny-text/01", ".git/1", "tiny-text/.2.partial"):
        (models / strange).mkdir(parents=True)
    (models / "README.md").touch()
    for link in ("gone", "tiny-text/7", "tiny-text/v7", ".hidden"):
        (models / link).symlink_to(models / "nowhere")
    view = seen(models)
    assert view.astray == ["gone", "tiny-text/7"]
    assert sorted(view.versions) == [("tiny-digits", 1), ("tiny-text", 1), ("tiny-text", 12)]
    assert all(sight.digest and not sight.missing for sight in view.versions.values())
    assert view.names["tiny-text"] == Named((("stable", 1),))
    assert view.names["tiny-digits"].problem.startswith("tiny-digits/aliases.toml: stable: ")
    assert sorted(view.strange) == ["Nobody", "tiny-text/01", "tiny-text/v1"]
    assert view.unread == {}


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        look(tmp_path / "nowhere")


def test_what_has_not_changed_is_not_read_again(models: Path) -> None:
    before = seen(models)
    assert seen(models, before).versions["tiny-text", 1] is before.versions["tiny-text", 1]
    (models / "tiny-text" / "1" / "card.md").write_bytes(b"# Another")
    assert seen(models, before).versions["tiny-text", 1] != before.versions["tiny-text", 1]


def test_what_was_written_in_this_moment_is_read_again(models: Path) -> None:
    """A write of as many bytes may leave the times as they were."""
    written = max(path.stat().st_ctime_ns for path in (models / "tiny-text" / "1").iterdir())
    before = look(models, NOTHING, lambda: written + 1)
    after = look(models, before, lambda: written + 1)
    assert after.versions["tiny-text", 1] is not before.versions["tiny-text", 1]
    assert after.versions["tiny-text", 1] == before.versions["tiny-text", 1]


def test_a_mode_that_has_changed_is_a_change(models: Path) -> None:
    before = seen(models)
    (models / "tiny-text" / "1" / "step.onnx").chmod(0o600)
    assert seen(models, before).versions != before.versions


def test_a_copy_that_is_under_way_is_not_whole(models: Path) -> None:
    whole, copy = models / "tiny-text" / "1", models / ".copy"
    whole.rename(copy)
    whole.mkdir()
    names = sorted(path.name for path in copy.iterdir() if path.name != "bundle.json")
    for name in names:
        assert missing(models) == "bundle.json is missing"
        shutil.copy(copy / name, whole)
    text = (copy / "bundle.json").read_text("utf-8")
    (whole / "bundle.json").write_text(text[:100], "utf-8")
    assert missing(models) == "bundle.json is not whole"
    (whole / "bundle.json").write_text(text, "utf-8")
    assert missing(models) == ""
    os.truncate(whole / "step.onnx", 10)
    assert missing(models) == "'step.onnx' is not whole"
    (whole / "step.onnx").unlink()
    assert missing(models) == "'step.onnx' is missing"
    shutil.copy(copy / "step.onnx", whole)
    (whole / ".step.onnx.Xy12").touch()
    assert missing(models) == "'.step.onnx.Xy12' is not listed in bundle.json"


@pytest.mark.parametrize("text", ["[]", "{}", "1", '{"files": 3}', '{"files": [{"path": "x", "size": "much"}]}', ""])
def test_what_no_copy_brings_is_left_to_the_load(models: Path, text: str) -> None:
    (models / "tiny-text" / "1" / "bundle.json").write_text(text, "utf-8")
    assert missing(models) == ""


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\0"])
def test_what_is_no_json_is_not_whole(models: Path, text: str) -> None:
    (models / "tiny-text" / "1" / "bundle.json").write_text(text, "utf-8")
    assert missing(models) == "bundle.json is not whole"


def test_links_and_pipes_keep_nobody_waiting(models: Path) -> None:
    manifest = models / "tiny-text" / "1" / "bundle.json"
    manifest.unlink()
    os.mkfifo(manifest)
    assert missing(models) == ""
    manifest.unlink()
    manifest.symlink_to("/dev/zero")
    assert missing(models) == ""


def test_a_model_whose_folder_cannot_be_read_is_no_model_that_has_gone(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey_generator().write(models)
    closed(models / "tiny-text", monkeypatch)
    view = seen(models)
    assert dict(view.unread) == {"tiny-text": "Permission denied"}
    assert list(view.versions) == [("tiny-digits", 1)]


def test_a_version_whose_folder_cannot_be_read_hides_neither_others_nor_aliases(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stepper(version=2).write(models)
    (models / "tiny-text" / "aliases.toml").write_text("stable = 2", "utf-8")
    (models / "tiny-text" / "3").symlink_to("3")  # round in a circle
    before = seen(models)
    closed(models / "tiny-text" / "1", monkeypatch)
    view = seen(models, before)
    assert view.unread == {}
    assert view.names["tiny-text"] == Named((("stable", 2),))
    assert list(view.versions) == [("tiny-text", 1), ("tiny-text", 2), ("tiny-text", 3)]
    assert view.versions["tiny-text", 1].missing == "it cannot be read: Permission denied"
    assert view.versions["tiny-text", 3].missing.startswith("it cannot be read: Too many levels")
    assert view.versions["tiny-text", 2] is before.versions["tiny-text", 2]


def closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody look into it: the mode of a folder is nothing to root, as whom tests may run."""
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
