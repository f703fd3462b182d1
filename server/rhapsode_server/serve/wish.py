"""The wish that a process end: a signal asks, another one insists."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
