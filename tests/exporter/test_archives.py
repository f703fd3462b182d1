"""Archives are fetched once, by hash, and read in place; without a network here."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from rhapsode_exporter.data.archives import Archive, cache_folder, fetch, read_members, sha256_of
from rhapsode_exporter.errors import DataUnavailableError

WHEEL = "somedata-1.0-py3-none-any.whl"
MEMBERS = {
    "somedata/one.txt": b"first",
    "somedata/two.txt": b"second",
    "somedata/__init__.py": b"raise RuntimeError('imported')\n",
    "somedata-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: somedata\nVersion: 1.0\nRequires-Dist: missing\n",
    "somedata-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "somedata-1.0.dist-info/RECORD": b"",
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows, with one wheel in it."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        for name, content in MEMBERS.items():
            wheel.writestr(name, content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def archive(index: Path) -> Archive:
    return Archive("somedata==1.0", WHEEL, sha256_of(index / WHEEL))


def test_an_archive_is_fetched_once(archive: Archive, index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = fetch(archive, cache)
    assert path == cache / "archives" / WHEEL
    assert [entry.name for entry in path.parent.iterdir()] == [WHEEL]
    (index / WHEEL).unlink()
    assert fetch(archive, cache) == path


def test_other_content_than_pinned_is_refused(archive: Archive, tmp_path: Path) -> None:
    wrong = Archive(archive.requirement, archive.filename, hashlib.sha256(b"other").hexdigest())
    with pytest.raises(DataUnavailableError, match=r"could not download somedata==1\.0"):
        fetch(wrong, tmp_path / "cache")
    assert list((tmp_path / "cache" / "archives").iterdir()) == []


def test_a_damaged_cache_is_fetched_anew(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "archives" / WHEEL
    path.parent.mkdir()
    path.write_bytes(b"half a downl")
    assert sha256_of(fetch(archive, tmp_path)) == archive.sha256


def test_what_cannot_be_had_says_so(tmp_path: Path, index: Path) -> None:
    with pytest.raises(DataUnavailableError, match="check the network or the index"):
        fetch(Archive("otherdata==1.0", "otherdata-1.0.tar.gz", "0" * 64), tmp_path)


def test_members_of_a_wheel(index: Path) -> None:
    assert read_members(index / WHEEL, ".txt") == {"somedata/one.txt": b"first", "somedata/two.txt": b"second"}


def test_members_of_a_source_archive(tmp_path: Path) -> None:
    path = tmp_path / "somedata-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as source:
        for name in ("somedata-1.0/one.txt", "somedata-1.0/setup.py"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            source.addfile(entry, io.BytesIO(b"bytes"))
        folder = tarfile.TarInfo("somedata-1.0/folder.txt")
        folder.type = tarfile.DIRTYPE
        source.addfile(folder)
    assert read_members(path, ".txt") == {"somedata-1.0/one.txt": b"bytes"}


def test_the_cache_folder_can_be_named() -> None:
    assert cache_folder({}) == Path(".data")
    assert cache_folder({"RHAPSODE_DATA": ""}) == Path(".data")
    assert cache_folder({"RHAPSODE_DATA": "/elsewhere"}) == Path("/elsewhere")
