"""Contact sheets hold every picture at its place."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rhapsode_exporter.run.sheets import contact_sheet, png_sheet, to_bytes, write_sheet


def test_values_become_bytes_by_rounding() -> None:
    image = torch.tensor([-1.0, 0.0, 1.0, 3.0]).view(1, 1, 2, 2)
    assert to_bytes(image, -1.0, 1.0)[0, :, :, 0].tolist() == [[0, 128], [255, 255]]


def test_pictures_stand_row_after_row() -> None:
    pictures = np.stack([np.full((4, 4, 3), 10 * (index + 1), np.uint8) for index in range(5)])
    sheet = np.asarray(contact_sheet(pictures, columns=3, scale=2))
    assert sheet.shape == (2 * (2 * 5 + 1), 2 * (3 * 5 + 1), 3)
    assert sheet[2, 2, 0] == 10
    assert sheet[2, 2 * 11, 0] == 30
    assert sheet[2 * 6, 2 * 6, 0] == 50


def test_grey_pictures_make_a_grey_file(tmp_path: Path) -> None:
    write_sheet(torch.zeros(3, 1, 6, 6), 0.0, 1.0, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "L"
    with Image.open(io.BytesIO(png_sheet(torch.zeros(3, 3, 6, 6), 0.0, 1.0))) as sheet:
        assert sheet.mode == "RGB"


def test_no_pictures_make_no_sheet() -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(np.zeros((0, 4, 4, 1), np.uint8), 3, 2)
