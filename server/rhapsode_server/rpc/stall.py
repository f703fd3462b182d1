"""Gives up a write that its reader does not take."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from rhapsode_server.errors import ClientTooSlow


class Timers(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float:
        """Seconds."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        """Call back at a time."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> asyncio.TimerHandle:
        """Call back after so many seconds."""
        ...


class StallTimer:
    """Ends a wait of the task that writes once a single write has lasted `timeout` seconds.

    gRPC has no way to end a call whose reader holds a write up: what can be ended is our part of it. One timer serves
    all writes of a call, and is moved only when it rings: a write costs the reading of a clock.
    """

    __slots__ = ("_began", "_handle", "_loop", "_rang", "_task", "_timeout")

    def __init__(self, timeout: float, loop: Timers) -> None:
        self._timeout = timeout
        self._loop = loop
        self._began: float | None = None
        self._task: asyncio.Task[object] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._rang = False

    def write_begins(self) -> None:
        """Count the seconds from here."""
        self._began = self._loop.time()
        if self._handle is None:
            self._task = asyncio.current_task()
            self._handle = self._loop.call_later(self._timeout, self._ring)

    def write_ends(self) -> None:
        """Count no more."""
        self._began = None

    def interrupted(self) -> None:
        """The write was cancelled: raise ClientTooSlow where this timer has done it, and nobody else did."""
        if self._rang and self._task is not None and not self._task.uncancel():
            raise ClientTooSlow(
                f"a message was not taken within {self._timeout:g} s", {"stall_timeout": f"{self._timeout:g}"}
            )

    def close(self) -> None:
        """Hold nothing any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._task = None

    def _ring(self) -> None:
        now = self._loop.time()
        self._handle = None
        if self._began is None or self._task is None:
            return  # the next write sets it again
        due = self._began + self._timeout
        if due > now:
            self._handle = self._loop.call_at(due, self._ring)
        else:
            self._rang = True
            self._task.cancel()
