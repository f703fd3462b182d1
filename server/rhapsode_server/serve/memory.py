"""The process's heap, kept so that the memory of a model can be given back (glibc only)."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # as malloc.h numbers them
_HEAPS = "MALLOC_ARENA_MAX"
APART = 128 << 10  # bytes of a block that lies by itself while a model is loaded
USUAL = 16 << 20  # and at all other times: what requests need is found in the heap, which costs no page faults


def share_heap() -> None:
    """Have all threads, and those of the workers, take memory from one heap.

    Else each load's thread has one of several, in which what it leaves stays: 42 loads of the same three models took
    184 MB to 278, and with this to 187. Where the environment says how many there are to be, that holds.
    """
    if _HEAPS not in os.environ:
        os.environ[_HEAPS] = "1"  # read at the start of a process: for those that come
        _tell(_ARENA_MAX, 1)


@contextmanager
def loaded_apart() -> Iterator[None]:
    """Have what a model keeps lie outside of the heap, where nothing of others can hold it when the model goes.

    20 loads of a model of 10 MB that was let go after each: 19 MB more than after the first, 3 with this. All threads
    share it: requests pay for pages of their own meanwhile, 0.2 ms for a reply of 3 MB.
    """
    _tell(_TRIM_THRESHOLD, 2 * USUAL)
    _tell(_MMAP_THRESHOLD, APART)
    try:
        yield
    finally:
        _tell(_MMAP_THRESHOLD, USUAL)


def give_back_memory() -> None:
    """Hand the system what loading took and left: 34 of 187 MB with the bundles that ship. Takes some milliseconds."""
    if trim := _of_glibc("malloc_trim"):
        trim(0)


def _tell(option: int, value: int) -> None:
    if mallopt := _of_glibc("mallopt"):
        mallopt(option, value)


def _of_glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None)
