"""Many bundles loaded one after another in a child process, which is replaced where one of them ends it."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE
from threading import Event, Timer

from rhapsode_server.errors import LoadCrashed, StartupError
from rhapsode_server.repository import files, loading
from rhapsode_server.repository.in_child import (
    Bounds,
    Rehearsed,
    be_least,
    crashed,
    cut_off,
    leave_nobody_behind,
    summary,
)
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions

PROGRAM = ("-m", "rhapsode_server.repository.rehearsals")


class Rehearsals:
    """Loads bundles elsewhere, as they would be served: a process for each would take two seconds more for each."""

    def __init__(self, options: RuntimeOptions, batching: Batching, program: Sequence[str] = PROGRAM) -> None:
        self._settings = json.dumps([asdict(options), asdict(batching)])
        self._program = program
        self._child: subprocess.Popen[str] | None = None

    def rehearse(self, folder: Path, bounds: Bounds = Bounds()) -> Rehearsed:  # noqa: B008 - frozen
        """Load models/<name>/<version>/, which may take so long.

        Raises StartupError with the words of the refusal, LoadTooLong where the load was cut off, LoadCrashed where it
        ended its process.
        """
        fresh = self._child is None
        try:
            return self._rehearse(folder, bounds)
        except LoadCrashed:
            if fresh:
                raise
        return self._rehearse(folder, bounds)  # by itself: a bundle before it may have been what hurt the child

    def _rehearse(self, folder: Path, bounds: Bounds) -> Rehearsed:
        child = self._child = self._child or self._begin()
        cut = Event()

        def cut_short() -> None:
            cut.set()
            child.kill()

        with _after(bounds.seconds, cut_short):
            said = _ask(child, str(folder))
        if not said:
            self.close()
            where = files.label(folder)
            raise cut_off(where, bounds) if cut.is_set() else crashed(where, child.returncode)
        refused, told = json.loads(said)
        if refused:
            raise StartupError(refused)
        return Rehearsed(**told)

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child = self._child, None
        if child is not None:
            with child, suppress(OSError):
                child.stdin and child.stdin.close()  # which it takes for the end

    def _begin(self) -> "subprocess.Popen[str]":
        child = subprocess.Popen(
            [sys.executable, *self._program], stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, text=True
        )
        _say(child, self._settings)
        return child


def main() -> None:
    """Load what is asked for on standard input, a folder a line, and tell of each on standard output."""
    leave_nobody_behind()
    be_least()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    options, batching = json.loads(sys.stdin.readline())
    runtime = Runtime(RuntimeOptions(**options))
    like_served = Batching(**(batching | {"buckets": tuple(batching["buckets"])}))
    for line in sys.stdin:
        print(json.dumps(_told(Path(json.loads(line)), runtime, like_served)), flush=True)


def _told(folder: Path, runtime: Runtime, batching: Batching) -> tuple[str, object]:
    try:
        return "", asdict(summary(loading.load(folder, runtime, batching)))
    except StartupError as error:
        return error.message or "refused", None


def _ask(child: "subprocess.Popen[str]", folder: str) -> str:
    """The answer; empty where the child ends instead."""
    _say(child, json.dumps(folder))
    return child.stdout.readline() if child.stdout else ""


def _say(child: "subprocess.Popen[str]", line: str) -> None:
    with suppress(OSError):  # it has ended, which its answer will show
        print(line, file=child.stdin, flush=True)


@contextmanager
def _after(seconds: float, what: Callable[[], object]) -> Iterator[None]:
    """Do something unless this is over before."""
    timer = Timer(seconds, what)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


if __name__ == "__main__":
    main()
