"""What a process that serves does to itself: its surroundings, its garbage, its event loop, its end."""

import asyncio
import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

from rhapsode_server.serve.memory import give_back_memory, share_heap
from rhapsode_server.serve.threads import LEFT_BEHIND

_IN_ONNXRUNTIME = ("drive-", LEFT_BEHIND)  # begin the names of the threads that drive models, or load them
PATIENCE = 5.0  # seconds that threads which will not end may delay the end of the process
# Seconds beyond drain delay and grace in which every stop is done: requests that are cut off get their status (2),
# the last spans are sent (4), threads that will not end are left behind (PATIENCE).
SLACK = 15.0


def prepare() -> None:
    """Make the surroundings fit to serve in, for this process and for the workers that it starts."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # before gRPC is there: it has a line for each bad connection else
    share_heap()
    _fill_descriptors()


def run_alone(serving: Coroutine[Any, Any, int]) -> int:
    """Run what serves until it ends, as all that this process does from now on: the exit status."""
    warnings.filterwarnings("ignore", module="PIL")  # whatever it finds odd in a client's file is no news of ours
    _rest_collector()
    give_back_memory()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serving)


def leave(code: int) -> None:
    """End the process, in PATIENCE seconds at the latest."""
    watchdog = threading.Timer(PATIENCE, _leave, (code,))
    watchdog.daemon = True
    watchdog.start()
    if any(thread.name.startswith(_IN_ONNXRUNTIME) for thread in threading.enumerate()):
        _leave(code)  # a thread that comes back from ONNX Runtime while Python ends would abort the process
    sys.exit(code)


def _fill_descriptors() -> None:
    """Have /dev/null as standard input, output or error where this process was started without.

    Whatever is opened next would take their place else: uvloop aborts at its end where it has one of them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free, which is this one
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)  # print would take standard output for it


def _rest_collector() -> None:
    """Collect cycles more rarely, and never look again at what the models are made of.

    64 clients at a time, a picture each: 675 µs of CPU a request with Python's own settings, 632 with these.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it installs: it takes a sixth off the server's work for a message."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _leave(code: int) -> None:
    os._exit(code)
