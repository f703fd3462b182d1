"""Ctrl-C and SIGTERM as a request that a training loop reads between two steps."""

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

_Handler = Callable[[int, FrameType | None], object] | int | None


class Interrupt:
    """A context in which the first signal sets `requested` and the second acts as it did before.

    A loop finishes its step, writes its checkpoint and leaves when `requested` is true. On leaving the context
    the handlers that were found are back. Must be entered in the main thread.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._found: dict[signal.Signals, _Handler] = {}

    def __enter__(self) -> Self:
        for number in self.SIGNALS:
            self._found[number] = signal.signal(number, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        while self._found:
            number, handler = self._found.popitem()
            # None stands for a handler that was not set from Python; the default is the nearest to it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
