"""The wish that a process end: a signal asks, another one insists."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rhapsode_server.observe.logs import Log

SIGNALS = (signal.SIGTERM, signal.SIGINT)
ECHO = 0.2  # seconds in which a signal that comes again is the same wish: timeout(1) tells the process and its group


class Wish:
    """Tells a first signal, with its echoes, from one that insists."""

    def __init__(self) -> None:
        self._first: float | None = None

    def insists(self, now: float) -> bool:
        """Whether the signal that came now wants the end at once."""
        if self._first is None:
            self._first = now
        return now > self._first + ECHO


@contextmanager
def handling(handler: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Have the main thread do this on SIGTERM and SIGINT, and give the signals back at the end."""

    def on_signal(number: int, _: FrameType | None) -> None:
        handler(signal.Signals(number))

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)


@contextmanager
def nothing_to_lose(*, finished_by_it: bool = True) -> Iterator[None]:
    """End the process on SIGTERM or SIGINT, until something else takes them: with 0, where that is all it has to do.

    The kernel keeps these signals from a process 1 that does not ask for them: a container could not be stopped while
    it loads. Python asks between two steps of its own, so it may take until ONNX Runtime has made a session.
    """
    with handling(lambda number: os._exit(0 if finished_by_it else 128 + number)):
        yield


@contextmanager
def wish_to_stop(log: Log) -> Iterator[asyncio.Event]:
    """Set the event on SIGTERM or SIGINT; a second signal ends the process at once."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    wish = Wish()

    def on_signal(number: signal.Signals) -> None:
        asked.set()
        if wish.insists(loop.time()):
            end_at_once(number, log)

    with _handled(on_signal):
        yield asked


def end_at_once(number: signal.Signals, log: Log) -> None:
    """Leave without another word, with the status of a process that the signal ended."""
    log.warning("second signal", signal=number.name)
    log.close()
    os._exit(128 + number)


@contextmanager
def _handled(handler: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, handler, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
