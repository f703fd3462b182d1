"""A run folder gives back what was put into it, and never half a checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rhapsode_exporter.errors import RunSettingsChangedError
from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, RunFolder

SETTINGS = {"width": "4", "seed": "1"}


class Unsaveable:
    """A part whose state cannot be taken."""

    def state_dict(self) -> dict[str, Any]:
        raise RuntimeError("no state")

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        raise RuntimeError("no state")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def test_there_is_nothing_to_restore_at_first(folder: RunFolder) -> None:
    assert folder.restore({"network": nn.Linear(2, 2)}, SETTINGS) == Position()
    assert folder.history() == []


def test_a_checkpoint_brings_back_weights_optimiser_and_random_state(folder: RunFolder) -> None:
    network = nn.Linear(4, 4)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 4)).sum().backward()
    optimiser.step()
    folder.save(Position(7, 1.5), {"network": network, "optimiser": optimiser}, SETTINGS)
    drawn = torch.rand(3)

    other = nn.Linear(4, 4)
    others = torch.optim.AdamW(other.parameters())
    assert folder.restore({"network": other, "optimiser": others}, SETTINGS) == Position(7, 1.5)
    assert torch.equal(other.weight, network.weight)
    assert torch.equal(others.state[other.weight]["exp_avg"], optimiser.state[network.weight]["exp_avg"])
    assert torch.equal(torch.rand(3), drawn)


def test_a_checkpoint_of_other_settings_is_refused(folder: RunFolder) -> None:
    folder.save(Position(1, 0.0), {}, SETTINGS)
    with pytest.raises(RunSettingsChangedError, match=r"width 4 → 8\); use --fresh"):
        folder.restore({}, {**SETTINGS, "width": "8"})


def test_a_failed_save_leaves_the_earlier_checkpoint(folder: RunFolder) -> None:
    folder.save(Position(1, 0.0), {}, SETTINGS)
    with pytest.raises(RuntimeError, match="no state"):
        folder.save(Position(2, 0.0), {"broken": Unsaveable()}, SETTINGS)
    assert [path.name for path in folder.path.iterdir() if path.is_file()] == ["checkpoint.pt"]
    assert folder.restore({}, SETTINGS) == Position(1, 0.0)


def test_history_after_the_checkpoint_is_dropped_on_resume(folder: RunFolder) -> None:
    rows = [HistoryRow(step, step / 2, {"loss": 1 / (step + 1)}) for step in range(4)]
    for row in rows:
        folder.record(row)
    folder.save(Position(2, 1.0), {}, SETTINGS)
    assert folder.history() == rows
    folder.restore({}, SETTINGS)
    assert folder.history() == rows[:3]


def test_a_cleared_folder_is_empty(folder: RunFolder) -> None:
    folder.record(HistoryRow(0, 0.0, {"loss": 1.0}))
    folder.save(Position(2, 1.0), {}, SETTINGS)
    folder.clear()
    assert folder.history() == []
    assert not folder.checkpoint.exists()
    assert folder.sheets.is_dir()


def test_curves_are_a_png(folder: RunFolder) -> None:
    draw_curves([], folder.curves)
    assert not folder.curves.exists()
    draw_curves([HistoryRow(0, 0.0, {"a": 1.0}), HistoryRow(1, 0.1, {"a": 0.5, "b": 2.0})], folder.curves)
    assert folder.curves.read_bytes().startswith(b"\x89PNG")
