"""A program that ends when the process which started it does, however that one ends (Linux only).

The kernel kills it when the thread that started it is gone: start it in one that waits for its end. What asks the
kernel is a process that becomes the program, since a fork of a process with threads may do little but exec.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def ending_with_us(words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command, to be started by this process and no other: 20 ms later it is the command itself."""
    return (sys.executable, "-IS", __file__, str(os.getpid()), *words)


def main() -> None:
    """Become the command; nothing where the parent has ended already."""
    parent, *words = sys.argv[1:]
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and for good if they still were
        signal.signal(ignored, signal.SIG_DFL)
    if os.getppid() == int(parent):
        os.execvp(words[0], words)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main()
