"""The process's heap, kept so that the memory of a model can be given back (glibc only)."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
APART = 128 << 10  # bytes of a block that lies by itself while a model is loaded
USUAL = 16 << 20  # and at all other times: what requests need is found in the heap, which costs no page faults


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
