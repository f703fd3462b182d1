"""On a ring of eight Gaussians a generator leaves modes out, and a critic that sees minibatches cures it."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from rhapsode_exporter.data import ring
from rhapsode_exporter.experiments.ring import play
from rhapsode_exporter.judge.ring import FOUND_SHARE, modes_found, shares
from rhapsode_exporter.main import build_app


def test_real_points_have_all_modes() -> None:
    points = ring.draw(4_000, torch.Generator().manual_seed(0))
    assert modes_found(points) == ring.MODES
    assert sum(shares(points)) == pytest.approx(0.989, abs=0.01)  # within three deviations of a plane's Gaussian


def test_a_mode_needs_its_share_of_points() -> None:
    centres = ring.centres()
    few = torch.cat([centres[:1].expand(990, 2), centres[1:2].expand(10, 2)])
    assert shares(few)[:3] == [0.99, 0.01, 0.0]
    assert modes_found(few) == 1
    assert FOUND_SHARE < 1 / ring.MODES


def test_a_critic_that_sees_minibatches_finds_more_modes() -> None:
    """One seed, a shorter game than the experiment's."""
    alone, in_company = (play(1, 800, in_company=sees).modes for sees in (False, True))
    assert in_company >= 7
    assert alone < in_company


def test_the_command_prints_a_table_and_writes_a_plot(tmp_path: Path) -> None:
    printed = io.StringIO()
    app = build_app([], Console(file=printed, width=120))
    done = CliRunner().invoke(app, ["ring", "--seeds", "2", "--steps", "3", "--out", str(tmp_path / "plots")])
    assert done.exit_code == 0
    assert all(word in printed.getvalue() for word in ("seed 1", "seed 2", "mean", "sees minibatches"))
    assert (tmp_path / "plots" / "ring.png").read_bytes().startswith(b"\x89PNG")
