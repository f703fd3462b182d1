"""Fashion-MNIST is read from its files, and where they are not to be had it is said what to do."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rhapsode_exporter.data import fashion
from rhapsode_exporter.data.archives import sha256_of
from rhapsode_exporter.errors import DataUnavailableError


def write_table(path: Path, values: NDArray[np.uint8]) -> None:
    """A gzipped IDX file of unsigned bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(gzip.compress(bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()))


def write_set(folder: Path, count: int) -> dict[str, str]:
    """A set of `count` pictures in either part, a bar where the class lies; its files with their hashes."""
    folder.mkdir(parents=True)
    labels = (np.arange(count) % 10).astype(np.uint8)
    images = np.zeros((count, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 2 : 2 * label + 5] = 255
    for part in (fashion.TRAINING, fashion.HELD_OUT):
        write_table(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_table(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def test_the_installed_package_is_read_in_place(tmp_path: Path) -> None:
    files = write_set(tmp_path / "installed", 20)
    folder = fashion.fetch(tmp_path / "cache", tmp_path / "installed", files)
    assert folder == tmp_path / "installed"
    training, held_out = fashion.read(folder)
    assert (len(training), len(held_out)) == (20, 20)
    assert training.images.shape == (20, 28, 28)
    assert training.labels.tolist() == [number % 10 for number in range(20)]
    assert len(fashion.NAMES) == 10


def test_a_set_in_the_cache_is_not_fetched_again(tmp_path: Path) -> None:
    files = write_set(tmp_path / "cache" / "fashion-mnist", 10)
    assert fashion.fetch(tmp_path / "cache", tmp_path / "nowhere", files) == tmp_path / "cache" / "fashion-mnist"


def test_where_there_is_no_package_manager_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataUnavailableError, match=r"no apt-get here.*apt install dataset-fashion-mnist.*--data"):
        fashion.fetch(tmp_path / "cache", tmp_path / "nowhere", fashion.FILES)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_download_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "bin" / "apt-get"
    refusing.parent.mkdir()
    refusing.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n", encoding="utf-8")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{refusing.parent}:/bin:/usr/bin")
    with pytest.raises(DataUnavailableError, match=r"(?s)apt-get download.*failed.*Unable to locate"):
        fashion.fetch(tmp_path / "cache", tmp_path / "nowhere", fashion.FILES)


def test_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the archive brings another set than the pinned one."""
    for name in ("apt-get", "dpkg-deb"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text("#!/bin/sh\ntouch other.deb\n", encoding="utf-8")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    with pytest.raises(DataUnavailableError, match="pinned content"):
        fashion.fetch(tmp_path / "cache", tmp_path / "nowhere", fashion.FILES)


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_bytes(gzip.compress(b"\0\0\x0d\x02 floats"))
    with pytest.raises(ValueError, match=r"file\.gz is no IDX file"):
        fashion.read_table(tmp_path / "file.gz")
