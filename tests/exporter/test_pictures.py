"""A user's own folder of pictures: what is read, what is passed over, and what is too little."""

from pathlib import Path

import pytest
from PIL import Image

from rhapsode_exporter.data.pictures import FEWEST, load_own
from rhapsode_exporter.errors import DataUnavailableError


def draw(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (20 + number % 7, 24), (number % 256, 10, 200)).save(folder / f"{number:03}.png")


def test_pictures_become_squares_in_the_order_of_their_paths(tmp_path: Path) -> None:
    draw(tmp_path / "inner", FEWEST)
    pictures = load_own(tmp_path, 16, 3)
    assert pictures.shape == (FEWEST, 16, 16, 3)
    assert pictures[:, 0, 0, 0].tolist() == [number % 256 for number in range(FEWEST)]


def test_files_that_are_no_pictures_or_cut_off_are_passed_over(tmp_path: Path) -> None:
    draw(tmp_path, FEWEST)
    whole = (tmp_path / "000.png").read_bytes()
    (tmp_path / "cut-off.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "notes.txt").write_text("not a picture", encoding="utf-8")
    assert len(load_own(tmp_path, 8, 1)) == FEWEST


def test_too_few_are_refused_with_their_number(tmp_path: Path) -> None:
    draw(tmp_path, FEWEST - 1)
    with pytest.raises(DataUnavailableError, match=f"{FEWEST - 1} readable pictures; at least {FEWEST}"):
        load_own(tmp_path, 8, 1)
