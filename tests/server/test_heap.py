"""All threads of a server share one heap, so that what a load leaves can be handed back, or used by the next one."""

import subprocess
import sys

import pytest
from deploy.local_server import environment

PROGRAM = """
import ctypes, sys, threading
from rhapsode_server.serve.process import prepare
prepare()
all_there = threading.Barrier(4)
def take():
    taken = bytearray(50_000)
    all_there.wait()
threads = [threading.Thread(target=take) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own account")
@pytest.mark.parametrize(("variables", "alone"), [({}, True), ({"MALLOC_ARENA_MAX": "8"}, False)])
def test_threads_have_one_heap_where_nobody_says_otherwise(variables: dict[str, str], alone: bool) -> None:
    words = [sys.executable, "-c", PROGRAM]
    told = subprocess.run(words, env=environment() | variables, capture_output=True, text=True, check=True).stdout
    assert (told.count("<heap nr=") == 1) == alone
