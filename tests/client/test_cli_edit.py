"""`rhapsode edit` against a real server, and what `rhapsode models` tells of attributes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rhapsode_client import Client, Edit, Edited
from rhapsode_client.cli.main import build

Runner = Callable[..., Result]


@pytest.fixture
def rhapsode(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Run a command in this process and a folder of its own, without a terminal."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(build(), arguments, env={"RHAPSODE_ADDRESS": address})


def cell(path: str, column: int) -> np.ndarray:
    """A picture of the sheet's first row, 64 pixels square."""
    sheet = np.asarray(Image.open(path).convert("RGB"))
    width = (sheet.shape[1] - 6) // 2
    left, top = 6 + column * width, 27
    return sheet[top : top + 64, left : left + 64]


def test_a_seed_before_and_after(rhapsode: Runner, address: str) -> None:
    done = rhapsode("edit", "tiny-faces", "7", "--add", "glasses", "--remove", "hat", "--scale", "8")
    assert (done.exit_code, done.stdout) == (0, "")
    with Client(address) as client:
        edits = [Edit("glasses", 1.5), Edit("hat", -0.75)]
        before, after = client.edit_images("tiny-faces", [7, Edited(7, edits)])
    for column, picture in enumerate((before, after)):
        large = np.asarray(picture.image().resize((64, 64), Image.Resampling.NEAREST))
        assert np.array_equal(cell("tiny-faces-edit.png", column), large)


def test_a_strength_replaces_the_models_own_and_files_are_sources(rhapsode: Runner) -> None:
    Image.new("RGB", (8, 8), "red").save("red.png")
    done = rhapsode(
        "edit", "tiny-faces", "red.png", "3", "--remove", "hat", "--strength", "2", "--out", "x/y.webp", "--json"
    )
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"file": "x/y.webp", "pictures": 2, "model": "tiny-faces", "version": 1}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tiny-faces", "7"), "--add NAME or --remove NAME"),
        (("tiny-faces", "7", "--add", "moustache"), "it has glasses, hat"),
        (("tiny-digits", "7", "--add", "hat"), "it has none"),
        (("tiny-faces", "7", "--add", "hat", "--out", "a.txt"), "name ends with"),
        (("tiny-faces", "7", "--add", "hat", "--strength", "101"), "strength"),
    ],
)
def test_wrong_usage(rhapsode: Runner, arguments: tuple[str, ...], told: str) -> None:
    done = rhapsode("edit", *arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_attributes_are_told_of_a_model(rhapsode: Runner) -> None:
    assert "glasses (strength 1.5), hat (strength 0.75)" in " ".join(rhapsode("models", "tiny-faces").stdout.split())
