"""The demonstration's server starts, stops and says why it cannot."""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from benchmarks.cost import cpu_seconds
from deploy.local_server import LocalServer, ServerFailedError, running_server

from support import bundles

PATIENCE = 60.0
ON_CPU = "--provider=cpu"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder)
    return folder


def test_a_server_ends_with_its_block(models: Path, tmp_path: Path) -> None:
    with running_server(models, tmp_path / "log", ON_CPU) as server:
        assert cpu_seconds(server.process_id) > 0
    assert not Path(f"/proc/{server.process_id}").exists()


def test_a_server_ends_with_an_error_in_its_block(models: Path, tmp_path: Path) -> None:
    seen: list[LocalServer] = []

    def interrupted() -> None:
        with running_server(models, tmp_path / "log", ON_CPU) as server:
            seen.append(server)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not Path(f"/proc/{seen[0].process_id}").exists()


PARENT = """
import sys
from pathlib import Path
from deploy.child import child
from deploy.local_server import running_server
models, log = map(Path, sys.argv[1:])
with child(["sleep", "600"]) as one, running_server(models, log, "--provider=cpu") as other:
    print(one.process.pid, other.process_id, flush=True)
    one.process.wait()
"""


def test_nobody_outlives_a_parent_that_is_killed(models: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, str(models), str(tmp_path / "log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as parent, contextlib.ExitStack() as stack:
        assert parent.stdout is not None
        started = [os.pidfd_open(int(word)) for word in parent.stdout.readline().split()]
        stack.callback(_end, started)
        assert len(started) == 2
        parent.kill()
        for each in started:
            assert select.select([each], [], [], PATIENCE)[0] == [each]


def _end(started: Iterable[int]) -> None:
    for each in started:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(each, signal.SIGKILL)
        os.close(each)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    failing = running_server(tmp_path / "none", tmp_path / "log")
    with pytest.raises(ServerFailedError, match="before it was ready"), failing:
        pass
