"""What the process does with its heap: of a process of its own, in whose memory nobody else has a hand."""

import subprocess
import sys

import pytest
from deploy.local_server import environment

PROGRAM = """
import psutil
from rhapsode_server.serve.memory import give_back_memory, loaded_apart

BLOCK, BLOCKS = 256 << 10, 256  # bytes, of which glibc would begin to keep many in the heap once a larger one was freed

def resident():
    return psutil.Process().memory_info().rss / (BLOCK * BLOCKS)

bytes(16 << 20)
give_back_memory()
before = resident()
with loaded_apart():
    model = [(b"w" * BLOCK, b"small" * 20 + bytes(place)) for place in range(BLOCKS)]
between = [small for _, small in model]
loaded = resident()
del model
print(loaded - before, resident() - before, len(between))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heap")
def test_what_was_loaded_apart_goes_whatever_came_between() -> None:
    words = [sys.executable, "-c", PROGRAM]
    told = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True).stdout
    loaded, left, between = map(float, told.split())
    assert loaded > 0.9
    assert left < 0.1
    assert between == 256
