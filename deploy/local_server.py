"""A rhapsode-server in a process of its own, for as long as a with block lasts."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.ending_with_us import ending_with_us

READY_SECONDS = 120.0
STOP_SECONDS = 40.0
_POLL_SECONDS = 0.05


class ServerFailedError(Exception):
    """The server did not start, or did not end as it should; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that is ready: its process, and where it really listens."""

    process_id: int
    address: str
    metrics_address: str
    ready_seconds: float


def program(name: str) -> str:
    """The path of a console script of this environment."""
    return str(Path(sys.executable).with_name(name))


def environment() -> dict[str, str]:
    """Give this process's environment without settings of ours, which flags say here, and of traces."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RHAPSODE_", "OTEL_"))}


@contextmanager
def running_server(models: Path, log: Path, *options: str) -> Iterator[LocalServer]:
    """Serve `models` on free ports of 127.0.0.1 and write the server's log to `log`; on leaving, stop it gracefully.

    The server is in a session of its own: Ctrl-C reaches this process alone, which then stops the server; where this
    one is killed, so is the server. Raises ServerFailedError where it does not get ready in time, or does not end
    with 0.
    """
    flags = ("--address=127.0.0.1:0", "--metrics-address=127.0.0.1:0", "--drain-delay=0", "--log-format=json")
    command = [program("rhapsode-server"), f"--models={models}", *flags, *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            ending_with_us(command),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
    try:
        yield _wait_until_ready(process, log)
    except BaseException:
        _stop(process)
        raise
    if status := _stop(process):
        raise ServerFailedError(f"the server ended with {status}:\n{_tail(log)}")


def _wait_until_ready(process: "subprocess.Popen[bytes]", log: Path) -> LocalServer:
    begun = time.monotonic()
    while (elapsed := time.monotonic() - begun) < READY_SECONDS:
        for record in _records(log):
            if record.get("msg") == "ready":
                return LocalServer(process.pid, str(record["address"]), str(record["metrics_address"]), elapsed)
        if process.poll() is not None:
            raise ServerFailedError(f"the server ended with {process.returncode} before it was ready:\n{_tail(log)}")
        time.sleep(_POLL_SECONDS)
    raise ServerFailedError(f"the server was not ready after {READY_SECONDS:.0f} s:\n{_tail(log)}")


def _stop(process: "subprocess.Popen[bytes]") -> int:
    """End the process, gently and then by force: its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _records(log: Path) -> Iterator[dict[str, object]]:
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("}\n"):
            yield json.loads(line)


def _tail(log: Path, lines: int = 20) -> str:
    kept: Sequence[str] = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(kept)
