"""What a training loop is given and what it gives back."""

import time
from dataclasses import dataclass, field

from rich.console import Console

from rhapsode_exporter.run.folder import Position, RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.progress import TrainingProgress
from rhapsode_exporter.run.stop import Reading, Stop, StopRule, decide, interrupted


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The surroundings of one run: where it writes, when it stops, who may interrupt it, its seed."""

    name: str
    folder: RunFolder
    rule: StopRule
    seed: int
    interrupt: Interrupt
    console: Console

    def progress(self) -> TrainingProgress:
        """A progress bar for this run."""
        return TrainingProgress(self.console, self.name, self.rule.steps)

    def decide(self, reading: Reading) -> Stop | None:
        """Whether to stop now: by the rule, else by a person's wish."""
        stop = decide(self.rule, reading)
        return interrupted(reading.step) if stop is None and self.interrupt.requested else stop


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: why, and how far it came."""

    stop: Stop
    position: Position


@dataclass(slots=True)
class Stopwatch:
    """Seconds of a run, going on from those of its earlier parts."""

    earlier: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        """Seconds so far."""
        return self.earlier + time.monotonic() - self._started
