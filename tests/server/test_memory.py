"""What the process does with its heap."""

import psutil

from rhapsode_server.serve.memory import give_back_memory, loaded_apart

BLOCK = 256 << 10  # bytes, of which glibc would begin to keep many in the heap once a larger one was freed
BLOCKS = 256


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def test_what_was_loaded_apart_goes_whatever_came_between() -> None:
    give_back_memory()
    before = resident()
    with loaded_apart():
        model = [(b"w" * BLOCK, b"small" * 20 + bytes(place)) for place in range(BLOCKS)]
    between = [small for _, small in model]
    assert resident() - before > BLOCK * BLOCKS * 0.9
    del model
    assert resident() - before < BLOCK * BLOCKS * 0.1
    assert len(between) == BLOCKS
