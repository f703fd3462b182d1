"""The progress of a training run on the terminal, or as plain lines where there is none."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS = 20.0


class TrainingProgress:
    """A bar with steps, losses and the time left; one line every `LINE_SECONDS` where output is not a terminal."""

    def __init__(self, console: Console, name: str, steps: int) -> None:
        self._console = console
        self._name = name
        self._steps = steps
        self._last_line = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID = self._bar.add_task(name, total=steps, losses="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, step: int, losses: Mapping[str, float]) -> None:
        """Show that `step` steps are done, with the named figures."""
        now = time.monotonic()
        shown = "  ".join(f"{name} {value:.4f}" for name, value in losses.items())
        self._bar.update(self._task, completed=step, losses=shown)
        due = now - self._last_line >= LINE_SECONDS or step >= self._steps
        if due and not self._console.is_terminal:
            self._last_line = now
            self.note(f"{self._name}  step {step}/{self._steps}  {shown}")

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
