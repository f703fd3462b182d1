"""A process that tries out mutants for us, replaced when one of them ends it."""

import json
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.fuzz.bundle_trial import Trial

_START = 120.0  # seconds, on a machine that is busy
_QUIET: Mapping[str, str] = {"ORT_DISABLE_TELEMETRY": "1"}


class Child:
    """Asks one mutant after another. What ends or stops the process costs that process alone."""

    def __init__(self, models: Path, patience: float) -> None:
        self._models = models
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Use until the end of a with statement."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._end()

    def ask(self, number: int) -> Trial:
        """Try the mutant of this number."""
        process = self._process or self._begin()
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        if not _speaks(process, self._patience):
            self._end()
            return Trial(number, finding=f"hangs: no answer in {self._patience:g} s", seconds=self._patience)
        said = _line(process)
        if said:
            fields: dict[str, Any] = json.loads(said)
            return Trial(**fields)
        code = process.wait()
        self._process = None
        return Trial(number, finding=f"ends the process: {signal.Signals(-code).name if code < 0 else code}")

    def _begin(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "benchmarks.fuzz.bundle_worker", str(self._models)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if not _speaks(self._process, _START) or _line(self._process) != "ready\n":
            self._end()
            raise RuntimeError(f"no worker: {' '.join(command)} does not begin")
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
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
