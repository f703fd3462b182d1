"""A process that runs beside us, whose output is read all the time."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

PATIENCE = 120.0  # seconds for a line to come


class Child:
    """A process, and all that it has written."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()

    @property
    def lines(self) -> Sequence[str]:
        """What it has written so far."""
        with self._news:
            return tuple(self._lines)

    def read(self) -> None:
        """Read until it writes no more."""
        for line in self.process.stdout or ():
            self._note(line)
        self._note(None)

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The first line that is wanted; waits for it. Raises RuntimeError where it does not come."""
        seen, limit = 0, time.monotonic() + PATIENCE
        with self._news:
            while True:
                for line in self._lines[seen:]:
                    if wanted(line):
                        return line
                seen = len(self._lines)
                if self._ended or not self._news.wait(limit - time.monotonic()):
                    raise RuntimeError(f"what was waited for was not said: {''.join(self._lines[-20:])}")

    def _note(self, line: str | None) -> None:
        with self._news:
            if line is None:
                self._ended = True
            else:
                self._lines.append(line)
            self._news.notify_all()


@contextmanager
def child(words: Sequence[str]) -> Iterator[Child]:
    """Start a process without settings of ours in its environment; killed at the end if it still runs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RHAPSODE_")}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean) as process:
        started = Child(process)
        reader = threading.Thread(target=started.read)
        reader.start()
        try:
            yield started
        finally:
            if process.poll() is None:
                process.kill()
            reader.join()
