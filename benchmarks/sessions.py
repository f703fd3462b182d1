"""A bare ONNX Runtime process that holds the sessions of a folder of bundles, as a measure of memory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cost import resident_bytes

from rhapsode_server.runtime.ort import ort


def bare_resident_bytes(models: Path) -> int:
    """Memory of a process that has numpy, ONNX Runtime and a session for every graph that a server keeps."""
    with _running(models) as process:
        return resident_bytes(process.pid)


@contextmanager
def _running(models: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.sessions", str(models)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        # Leaving closes its standard input, which ends it.


def _hold(models: Path) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    held = [
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for path in sorted(models.glob("*/*/*.onnx"))
        if path.stem != "critic"
    ]
    print(len(held), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _hold(Path(sys.argv[1]))
