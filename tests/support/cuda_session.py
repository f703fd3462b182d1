"""Loads one graph as the server would on CUDA, over stand-ins, and tells on stderr where each node was placed.

    cuda_session.py LIBRARIES GRAPH OPTIMISED

LIBRARIES is the folder of the stand-ins, GRAPH the model to load, OPTIMISED where to leave it as it would be run.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

from rhapsode_server.runtime import probe
from rhapsode_server.runtime.ort import ort
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from rhapsode_server.runtime.session import Session

VERBOSE = 0


def stand_in_runtime(libraries: Path) -> Runtime:
    """The server's Runtime on CUDA. Its probe is not run: stand-ins compute nothing."""
    for library in libraries.glob("*.so.*[0-9]"):
        ctypes.CDLL(str(library))  # who asks for a library of this name later gets this one
    ort.preload_dlls = lambda: None
    probe.check = _pass
    return Runtime(RuntimeOptions(provider="cuda", require_gpu=True, threads=1))


def load(runtime: Runtime, graph: Path, optimised: Path) -> Session:
    """Load the graph with the server's options, but verbose."""
    inner = ort.InferenceSession

    def verbose(path_or_bytes: bytes, sess_options: Any, **rest: Any) -> "ort.InferenceSession":
        sess_options.log_severity_level = VERBOSE
        sess_options.optimized_model_filepath = str(optimised)
        return inner(path_or_bytes, sess_options, **rest)

    ort.InferenceSession = verbose
    return runtime.session(graph.read_bytes())


def _pass(session: Session) -> None:
    """Take a session as it is."""


if __name__ == "__main__":
    load(stand_in_runtime(Path(sys.argv[1])), Path(sys.argv[2]), Path(sys.argv[3]))
