"""What has already happened and is to become spans, handed to a thread: those who do the work have no time for it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from rhapsode_server.observe.trace_context import TraceContext
from rhapsode_server.observe.traces import Value

PERIOD = 0.2  # seconds between two looks at what there is
LAST_WORDS = 1.0  # seconds in which an export that was given up may say why
BOUND = 8192  # records that may wait; what would exceed it is dropped


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """Some work that has ended, at `ended` nanoseconds since 1970. `failure` is the reason why it failed."""

    name: str
    parent: TraceContext | None
    ended: int
    seconds: float
    told: Mapping[str, Value]
    links: tuple[TraceContext, ...] = ()
    failure: str | None = None
    own: TraceContext | None = None
    """What an rpc's span has been known by since it began; None for spans within the server."""
    events: tuple[tuple[str, int], ...] = ()
    """What happened in between, and when."""


class SpanWriter:
    """Has `make` called for each record, in a thread of its own.

    `finish` is called there after the last one; where that takes longer than the grace, in seconds, `abort` is called.
    """

    def __init__(
        self,
        make: Callable[[SpanRecord], None],
        finish: Callable[[], None],
        abort: Callable[[], None],
        grace: float,
    ) -> None:
        self._make = make
        self._finish = finish
        self._abort = abort
        self._grace = grace
        self._waiting: deque[SpanRecord] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, record: SpanRecord) -> None:
        """Take a record, unless too many wait. Safe from any thread."""
        if len(self._waiting) < BOUND:
            self._waiting.append(record)

    def close(self) -> None:
        """Make what waits, then finish: all of it within the grace, or what is left is lost."""
        self._closing.set()
        self._thread.join(self._grace)
        if self._thread.is_alive():
            self._abort()
            self._thread.join(LAST_WORDS)

    def _run(self) -> None:
        while not self._closing.wait(PERIOD):
            self._drain()
        self._drain()
        self._finish()

    def _drain(self) -> None:
        while self._waiting:
            with suppress(Exception):  # one that cannot be made must not cost those to come
                self._make(self._waiting.popleft())
            time.sleep(0)  # let go of the interpreter: those who answer requests wait for it
