"""Notices what hangs: a run that does not come back, an event loop that does not turn.

Looks on from a thread of its own. What holds the interpreter's lock stops it too: that is left to whoever probes the
server from outside.
"""

import faulthandler
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from time import monotonic
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from rhapsode_server.engine.attempt import Run
from rhapsode_server.observe.logs import Log

HUNG = 3
"""Exit status of a server that hung."""
LOOK = 2.0  # seconds between two looks that count at most: a process that was stopped, or starved, has not hung


class Runs(Protocol):
    """What is watched: a driver."""

    @property
    def run(self) -> Run | None:
        """The run under way."""
        ...


RunsT = TypeVar("RunsT", bound=Runs)
Call = Callable[..., object]
"""An event loop's call_soon_threadsafe."""


class Standstill:
    """For how many seconds something has looked the same, as far as somebody looked."""

    def __init__(self) -> None:
        self._sign: object = None
        self._looked = 0.0
        self._seconds = 0.0

    def look(self, sign: object, now: float) -> float:
        """See a sign, None for nothing that could stand still: the seconds since it was first seen."""
        same = sign is not None and sign == self._sign
        self._seconds = self._seconds + min(now - self._looked, LOOK) if same else 0.0
        self._sign, self._looked = sign, now
        return self._seconds


class Watchdog(Thread, Generic[RunsT]):
    """Tells `hung` of each driver that there is whose run lasts longer than `limit` seconds, once, in the event loop.

    Where the loop itself does not turn for as long, or the process outlives what hung first by `patience` seconds, the
    process ends at once, with HUNG; half that time before, all stacks go to standard error.
    """

    def __init__(
        self,
        drivers: Callable[[], Sequence[RunsT]],
        hung: Callable[[RunsT, Run], None],
        limit: float,
        patience: float,
        log: Log,
        call: Call,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._drivers = drivers
        self._hung = hung
        self._limit = limit
        self._patience = patience
        self._log = log
        self._call = call
        self._over = Event()
        # Weakly, or what has gone would stay in memory until the next look.
        self._runs: WeakKeyDictionary[RunsT, Standstill] = WeakKeyDictionary()
        self._told: WeakSet[RunsT] = WeakSet()
        self._loop = Standstill()
        self._turns = 0
        self._dumped = False
        self._end_by: float | None = None

    def run(self) -> None:
        """Look until it is over."""
        while not self._over.wait(min(1.0, self._limit / 8)):
            now = monotonic()
            self._look_at_loop(now)
            self._look_at_runs(now)
            if self._end_by is not None and now > self._end_by:
                self._leave("a server that hung did not stop in time")

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _look_at_runs(self, now: float) -> None:
        for driver in self._drivers():
            run = driver.run
            if (
                self._runs.setdefault(driver, Standstill()).look(run, now) > self._limit
                and run is not None
                and driver not in self._told
            ):
                self._told.add(driver)
                self._end_by = self._end_by or now + self._patience
                self._ask(self._hung, driver, run)

    def _look_at_loop(self, now: float) -> None:
        seconds = self._loop.look(self._turns, now)
        if seconds > self._limit:
            self._leave("the event loop stands still")
        elif seconds > self._limit / 2 and not self._dumped:
            self._dumped = True
            self._log.warning("event loop stands still", seconds=round(seconds, 1))
            with suppress(OSError, ValueError, AttributeError):  # where there is no standard error, there is nobody
                faulthandler.dump_traceback(sys.stderr)
        elif not seconds:
            self._dumped = False
            self._ask(self._turned)

    def _turned(self) -> None:
        self._turns += 1

    def _ask(self, do: Callable[..., object], *what: object) -> None:
        with suppress(RuntimeError):  # it has ended
            self._call(do, *what)

    def _leave(self, why: str) -> None:
        self._log.error("hung", reason=why)
        self._log.close()
        os._exit(HUNG)


@contextmanager
def watching(dog: Watchdog[RunsT]) -> Iterator[None]:
    """Have it look while the block lasts."""
    dog.start()
    try:
        yield
    finally:
        dog.stop()
