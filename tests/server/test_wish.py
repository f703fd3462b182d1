"""Signals before a server is ready: it ends at once and well, since nothing can be lost yet."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.server import clean_environment, command

SHIPPED = Path(__file__).parents[2] / "models"


@contextmanager
def loading(*flags: str) -> Iterator["subprocess.Popen[str]"]:
    """A server that loads the first of many models."""
    words = command("--models", str(SHIPPED), "--address", "127.0.0.1:0", "--metrics-address", "", *flags)
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean_environment()
    ) as server:
        try:
            next(line for line in server.stdout or () if "model loading" in line)
            yield server
        finally:
            server.kill()


def ended(server: "subprocess.Popen[str]", pid: int, number: signal.Signals) -> str:
    """Send a signal to it or to one of its own, until it ends: what it said.

    Once would do but for the instant between Python's last look for signals and a call that waits: one that comes just
    then is noticed when the call returns, which this one never does.
    """
    while True:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        with suppress(subprocess.TimeoutExpired):
            return server.communicate(timeout=5)[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("flags", [(), ("--workers", "2")])
def test_a_stop_while_it_loads_is_a_good_end(number: signal.Signals, flags: tuple[str, ...]) -> None:
    with loading(*flags) as server:
        said = ended(server, server.pid, number)
        assert server.returncode == 0
    assert "ready" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_check_that_is_cut_off_did_not_find_all_well(number: signal.Signals) -> None:
    with loading("--check") as server:
        ended(server, server.pid, number)
        assert server.returncode == 128 + number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_worker_that_loads_means_the_server(number: signal.Signals) -> None:
    with loading("--workers", "2") as server:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        said = ended(server, int(children[0]), number)  # as systemd does, which tells all processes of a service
        assert server.returncode == 0
    assert "worker ended" in said
    assert "ready" not in said
