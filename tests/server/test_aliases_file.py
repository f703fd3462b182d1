"""The aliases file of a model says what it may, or is refused with its name and the key."""

import os
from pathlib import Path

import pytest

from rhapsode_server.errors import BundleError
from rhapsode_server.repository import aliases


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-text"
    path.mkdir()
    return path


def test_no_file_is_no_alias(folder: Path) -> None:
    assert aliases.read(folder) == {}


def test_aliases_name_versions(folder: Path) -> None:
    (folder / "aliases.toml").write_text("# of a model\nstable = 3\ncanary = 999_999_999\na-b_1 = 1\n", "utf-8")
    assert list(aliases.read(folder).items()) == [("a-b_1", 1), ("canary", 999_999_999), ("stable", 3)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stable = 0", "stable: should be the number of a version, from 1 to 999999999"),
        ("stable = -1", "stable: should be"),
        ("stable = 1000000000", "stable: should be"),
        ("stable = true", "stable: should be"),
        ("stable = 1.0", "stable: should be"),
        ('stable = "3"', "stable: should be"),
        ("[stable]\nversion = 3", "stable: should be"),
        ("Stable = 3", "the key 'Stable' is no alias; the pattern is"),
        ("3 = 3", "the key '3' is no alias"),
        ('"" = 3', "the key '' is no alias"),
        ('"../x" = 3', "the key '../x' is no alias"),
        ('"\\u0000" = 3', r"the key '\x00' is no alias"),
        (f"{'x' * 33} = 3", "is no alias"),
        ("stable = ", "is no TOML"),
        ("stable = 1\nstable = 2", "is no TOML"),
        ("x = " + "[" * 5000, "is no TOML"),
        ("#" * 70_000, "is larger than 65536 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(folder: Path, text: str, problem: str) -> None:
    (folder / "aliases.toml").write_text(text, "utf-8")
    with pytest.raises(BundleError) as caught:
        aliases.read(folder)
    assert caught.value.message.startswith("tiny-text/aliases.toml: ")
    assert problem in caught.value.message
    assert len(caught.value.message) < 300


def test_all_that_is_wrong_is_said_at_once(folder: Path) -> None:
    (folder / "aliases.toml").write_text("A = 1\nb = 0\nc = 1\n", "utf-8")
    with pytest.raises(BundleError) as caught:
        aliases.read(folder)
    assert len(caught.value.message.splitlines()) == 2


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "aliases.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match="is no TOML"):
        aliases.read(folder)


def test_a_link_is_not_followed(folder: Path) -> None:
    (folder.parent / "elsewhere").write_text("stable = 1", "utf-8")
    (folder / "aliases.toml").symlink_to(folder.parent / "elsewhere")
    with pytest.raises(BundleError, match=r"tiny-text/aliases.toml: is a link"):
        aliases.read(folder)


def test_what_is_no_plain_file_keeps_nobody_waiting(folder: Path) -> None:
    os.mkfifo(folder / "aliases.toml")
    with pytest.raises(BundleError, match="is not a plain file"):
        aliases.read(folder)
