"""A bundle loaded in a child process, to which it may do what no server would survive."""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from subprocess import PIPE
from threading import Lock
from typing import Any

from rhapsode_server.errors import BundleError, LoadCrashed, LoadTooLong, StartupError
from rhapsode_server.repository import files, loading
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.problems import Problem, refusal
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions

PROGRAM = ("-m", "rhapsode_server.repository.in_child")
_REFUSED = 1
_NICENESS = 10
_FIRST_TO_GO = "1000"
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one load may take: seconds of wall time, and bytes of address space beyond those of a fresh process."""

    seconds: float = 600.0
    memory: int | None = None
    """None for no bound. CUDA reserves more address space than there is memory, so it can have none."""


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What is told of a bundle that could be loaded, in the words of LoadedModel."""

    name: str
    version: int
    digest: str
    fingerprint: str
    batch_invariant: bool
    form: str
    unfused_reason: str
    load_seconds: float


class Leash:
    """Ends a child from another thread than that which waits for it, be it before it has begun."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None
        self.pulled = False

    def hold(self, child: "subprocess.Popen[str]") -> None:
        """Take the child."""
        with self._lock:
            self._child = child
            if self.pulled:
                child.kill()

    def pull(self) -> None:
        """End the child, now or as soon as it begins."""
        with self._lock:
            self.pulled = True
            if self._child is not None:
                self._child.kill()


def rehearse_in_child(
    folder: Path,
    options: RuntimeOptions,
    batching: Batching,
    bounds: Bounds,
    program: Sequence[str] = PROGRAM,
    leash: Leash | None = None,
) -> Rehearsed:
    """Load models/<name>/<version>/ as it would be served, elsewhere.

    Raises StartupError with the words of the refusal, LoadTooLong where the load was cut off, LoadCrashed where it
    ended its process.
    """
    asked = {"folder": str(folder), "options": asdict(options), "batching": asdict(batching), "memory": bounds.memory}
    where = files.label(folder)
    with subprocess.Popen(
        [sys.executable, *program], stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        (leash or Leash()).hold(child)
        try:
            said, _ = child.communicate(json.dumps(asked), bounds.seconds)
        except subprocess.TimeoutExpired:
            raise cut_off(where, bounds) from None
        finally:
            child.kill()
    if child.returncode == _REFUSED and said:
        raise StartupError(said)
    try:
        return Rehearsed(**json.loads(said))
    except (ValueError, TypeError):  # it did not get so far
        raise crashed(where, child.returncode) from None


def crashed(where: str, code: int) -> BundleError:
    """The refusal of a bundle whose child has ended with this status."""
    how = signal.Signals(-code).name if code < 0 else f"status {code}"
    return refusal(where, Problem("V4", "the model", f"ends the process that loads it, with {how}"), kind=LoadCrashed)


def cut_off(where: str, bounds: Bounds) -> BundleError:
    """The refusal of a bundle whose child takes too long."""
    return refusal(where, Problem("V4", "the model", f"takes longer than {bounds.seconds:g} s"), kind=LoadTooLong)


def main() -> int:
    """Load what standard input asks for, and tell of it on standard output: 0, or 1 and the refusal."""
    leave_nobody_behind()
    be_least()
    asked: Mapping[str, Any] = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    batching = Batching(**(asked["batching"] | {"buckets": tuple(asked["batching"]["buckets"])}))
    try:
        runtime = Runtime(RuntimeOptions(**asked["options"]))
        if asked["memory"] is not None:
            most = _address_space() + int(asked["memory"])
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        model = loading.load(Path(asked["folder"]), runtime, batching)
    except StartupError as error:
        print(error.message, end="")
        return _REFUSED
    print(json.dumps(asdict(summary(model))), end="")
    return 0


def summary(model: LoadedModel) -> Rehearsed:
    """What is told of a model."""
    return Rehearsed(**{field.name: getattr(model, field.name) for field in fields(Rehearsed)})


def leave_nobody_behind() -> None:
    """End when the parent does: a signal may end it while it waits (Linux only)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def be_least() -> None:
    """Have the processor after whoever serves, and be ended before them where memory runs out."""
    os.nice(_NICENESS)
    with suppress(OSError):  # a system that is not Linux
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")


def _address_space() -> int:
    """Bytes that this process has already."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
