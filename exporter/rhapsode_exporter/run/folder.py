"""The folder of one training run: its history, samples and checkpoint."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from rhapsode_exporter.errors import RunSettingsChangedError


class Stateful(Protocol):
    """What a checkpoint can hold: a network, an optimiser, or anything that gives and takes its state.

    The state may be made of tensors, numbers, strings, lists and dicts only: checkpoints are read without pickle.
    """

    def state_dict(self) -> dict[str, Any]:
        """The present state."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take a state over."""
        ...


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is: optimiser steps taken and seconds of wall time spent, summed over resumed parts."""

    step: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Figures of one moment of a run, by name."""

    step: int
    seconds: float
    values: Mapping[str, float]


class RunFolder:
    """`runs/<name>/` with history.jsonl, checkpoint.pt, sheets/ and curves.png."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sheets = path / "sheets"
        self.curves = path / "curves.png"
        self.checkpoint = path / "checkpoint.pt"
        self._history = path / "history.jsonl"
        self.sheets.mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Forget an earlier run."""
        shutil.rmtree(self.path)
        self.sheets.mkdir(parents=True)

    def record(self, row: HistoryRow) -> None:
        """Append figures to the history."""
        with self._history.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def history(self) -> list[HistoryRow]:
        """All figures recorded so far, in order."""
        if not self._history.exists():
            return []
        lines = self._history.read_text(encoding="utf-8").splitlines()
        return [HistoryRow(**json.loads(line)) for line in lines]

    def save(self, position: Position, parts: Mapping[str, Stateful], settings: Mapping[str, str]) -> None:
        """Write a checkpoint; an earlier one stays whole until the new one is.

        The state of torch's default random generator goes along. `settings` says what was trained, so that a run
        with other settings does not go on from it.
        """
        content = {
            "position": asdict(position),
            "settings": dict(settings),
            "random": torch.get_rng_state(),
            "parts": {name: part.state_dict() for name, part in parts.items()},
        }
        beside = self.checkpoint.with_suffix(".part")
        with beside.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.checkpoint)

    def restore(self, parts: Mapping[str, Stateful], settings: Mapping[str, str]) -> Position:
        """Load the checkpoint into the parts and say where the run stands; Position() where there is none.

        Figures that were recorded after the checkpoint are dropped from the history: they will be measured again.
        Raises RunSettingsChangedError where the checkpoint was made with other settings.
        """
        if not self.checkpoint.exists():
            return Position()
        content = torch.load(self.checkpoint, weights_only=True)
        if content["settings"] != dict(settings):
            raise RunSettingsChangedError(self.path, content["settings"], dict(settings))
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
        torch.set_rng_state(content["random"])
        position = Position(**content["position"])
        self._keep_history_until(position.step)
        return position

    def _keep_history_until(self, step: int) -> None:
        kept = [json.dumps(asdict(row)) + "\n" for row in self.history() if row.step <= step]
        self._history.write_text("".join(kept), encoding="utf-8")
