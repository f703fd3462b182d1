"""A process that tries out mutants for us, replaced when one of them ends it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.fuzz.bundle_trial import Trial

_START = 120.0  # seconds, on a machine that is busy
WORKER = ("-m", "benchmarks.fuzz.bundle_worker")


class Child:
    """Asks one mutant after another. What ends or stops the process costs that process alone."""

    def __init__(self, models: Path, patience: float, program: Sequence[str] = WORKER) -> None:
        """Let `program`, Python's arguments, break what is below `models`, with so many seconds for each."""
        self._command = (sys.executable, *program, str(models))
        self._patience = patience
        self._place = tempfile.TemporaryDirectory(prefix="rhapsode-fuzz-")  # what a killed process leaves behind, too
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Use until the end of a with statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process, and remove what is left of mutants."""
        self._end()
        self._place.cleanup()

    def ask(self, number: int) -> Trial:
        """Try the mutant of this number; twice where there is no answer, as a busy machine gives none either."""
        if not self._answers(number) and not self._answers(number):
            return Trial(number, finding=f"hangs: twice no answer in {self._patience:g} s", seconds=self._patience)
        assert self._process is not None
        said = _line(self._process)
        if said:
            fields: dict[str, Any] = json.loads(said)
            return Trial(**fields)
        code = self._process.wait()
        self._end()
        return Trial(number, finding=f"ends the process: {signal.Signals(-code).name if code < 0 else code}")

    def _answers(self, number: int) -> bool:
        """Send the number; whether there is anything to read in time. The process is ended where there is not."""
        process = self._process or self._begin()
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        if not _speaks(process, self._patience):
            self._end()
            return False
        return True

    def _begin(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TMPDIR": self._place.name},
        )
        if not _speaks(self._process, _START) or _line(self._process) != "ready\n":
            self._end()
            raise RuntimeError(f"no worker: {' '.join(self._command)} does not begin")
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            with self._process:  # closes the pipes, and waits
                self._process = None


def _speaks(process: "subprocess.Popen[str]", patience: float) -> bool:
    """Whether a line, or the end, comes in time. Nothing is buffered between: every line is read before the next."""
    with selectors.DefaultSelector() as selector:
        selector.register(_output(process), selectors.EVENT_READ)
        return bool(selector.select(patience))


def _line(process: "subprocess.Popen[str]") -> str:
    return str(_output(process).readline())


def _output(process: "subprocess.Popen[str]") -> Any:  # noqa: ANN401  # what a pipe is to typeshed
    assert process.stdout is not None
    return process.stdout
