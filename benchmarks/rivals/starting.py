"""A rival's server and its client as processes, for as long as a with block lasts."""

import os
import select
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmarks.rivals.errors import RivalFailedError
from benchmarks.rivals.load import READY
from benchmarks.rivals.mlserver_folder import write_folder
from benchmarks.rivals.processes import end, family
from benchmarks.rivals.serving import Serving

_ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 180.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.2


@contextmanager
def server(rival: str, python: Path, serving: Serving, log: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a rival's server, which need not be ready yet; on leaving, stop it, by force where it does not end."""
    if rival == "mlserver":
        write_folder(serving)
        command = [str(python.with_name("mlserver")), "start", str(serving.workspace)]
    else:
        command = [str(python), "-m", "benchmarks.rivals.pytriton_server", *serving.flags()]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=_ROOT,
        env=environment(),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _stop(process)


@contextmanager
def client(rival: str, python: Path, serving: Serving, log: IO[bytes]) -> Iterator["subprocess.Popen[str]"]:
    """Start a client, which says when the server is ready; on leaving, close its input, at which it ends."""
    address = f"--address=127.0.0.1:{serving.grpc_port}"
    wrapped = ["--wrapped"] if rival == "pytriton" else []
    command = [str(python), "-m", "benchmarks.rivals.driver", address, *wrapped, *serving.text, *serving.images]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        cwd=_ROOT,
        env=environment(),
    )
    with process:
        yield process


def wait_until_ready(
    started: "subprocess.Popen[bytes] | subprocess.Popen[str]", driver: "subprocess.Popen[str]"
) -> None:
    """Return when the client has seen all models ready. Raises RivalFailedError where that does not come about."""
    assert driver.stdout
    begun = time.monotonic()
    while time.monotonic() - begun < _READY_SECONDS:
        if select.select([driver.stdout], [], [], _POLL_SECONDS)[0]:
            if driver.stdout.readline().strip() == READY:
                return
            raise RivalFailedError("its client ended before its server was ready")
        if started.poll() is not None:
            raise RivalFailedError(f"its server ended with {started.returncode} before it was ready")
    raise RivalFailedError(f"its server was not ready after {_READY_SECONDS:.0f} s")


def environment() -> dict[str, str]:
    """This process's environment, in which PyTriton's server also finds libpython."""
    libraries = [sysconfig.get_config_var("LIBDIR") or "", os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        **os.environ,
        "LD_LIBRARY_PATH": ":".join(folder for folder in libraries if folder),
        "ORT_DISABLE_TELEMETRY": "1",
    }


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    started = family(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except BaseException:
        end(started)
        process.wait()
        raise
