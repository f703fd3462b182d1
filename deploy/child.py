"""A process that runs beside us, whose output is read all the time."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.ending_with_us import ending_with_us
from deploy.local_server import environment

PATIENCE = 100.0  # seconds for a line to come


class Child:
    """A process, and all that it has written."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._given = 0
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
        """The first wanted line behind the one that was given last; waits for it. Raises RuntimeError if none comes."""
        limit = time.monotonic() + PATIENCE
        with self._news:
            while True:
                while self._given < len(self._lines):
                    line = self._lines[self._given]
                    self._given += 1
                    if wanted(line):
                        return line
                self._wait(limit)

    def wait(self, enough: Callable[[Sequence[str]], bool]) -> None:
        """Wait until all that it has written is enough. Raises RuntimeError where it does not become so."""
        limit = time.monotonic() + PATIENCE
        with self._news:
            while not enough(self._lines):
                self._wait(limit)

    def rest(self) -> str:
        """All that it wrote behind the line that was given last, once it has ended."""
        with self._news:
            self._news.wait_for(lambda: self._ended, PATIENCE)
            return "".join(self._lines[self._given :])

    def _wait(self, limit: float) -> None:
        if self._ended or not self._news.wait(limit - time.monotonic()):
            raise RuntimeError(f"what was waited for was not said: {''.join(self._lines[-50:])}")

    def _note(self, line: str | None) -> None:
        with self._news:
            if line is None:
                self._ended = True
            else:
                self._lines.append(line)
            self._news.notify_all()


@contextmanager
def child(
    words: Sequence[str], environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[Child]:
    """Start a process, in an environment without settings of ours where none is given; killed at the end if it still
    runs, and when this process is.
    """
    environ = environment() if environ is None else environ
    with subprocess.Popen(
        ending_with_us(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, cwd=folder
    ) as process:
        started = Child(process)
        reader = threading.Thread(target=started.read)
        reader.start()
        try:
            yield started
        finally:
            if process.poll() is None:
                process.kill()
            reader.join()


def saying(message: str) -> Callable[[str], bool]:
    """Whether a line is a JSON object with this message, as loggers write it under `msg`."""
    return lambda line: line.startswith("{") and json.loads(line).get("msg") == message
