"""What has already happened and is to become spans, handed to a thread: those who do the work have no time for it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rhapsode_server.observe.span_losses import SpanLosses
from rhapsode_server.observe.trace_context import TraceContext
from rhapsode_server.observe.traces import Value

PERIOD = 0.2  # seconds between two looks at what there is
AFTER_ABORT = 1.0  # seconds in which an export that was given up may say why
BOUND = 8192  # records that may wait; what would exceed it is lost


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
        losses: SpanLosses,
    ) -> None:
        self._make = make
        self._finish = finish
        self._abort = abort
        self._grace = grace
        self._losses = losses
        self._waiting: deque[SpanRecord] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def add(self, record: SpanRecord) -> None:
        """Take a record, unless too many wait. Safe from any thread."""
        if len(self._waiting) < BOUND:
            self._waiting.append(record)
        else:
            self._losses.drop("behind")

    def close(self) -> None:
        """Make what waits, then finish: all of it within the grace, or what is left is lost."""
        self._closing.set()
        self._thread.join(self._grace)
        if self._thread.is_alive():
            self._abort()
            self._thread.join(AFTER_ABORT)
        if self._thread.is_alive():
            self._losses.abandon()

    def _run(self) -> None:
        while not self._closing.wait(PERIOD):
            self._drain()
            self._losses.tell()
        self._drain()
        self._finish()
        self._losses.tell(last=True)

    def _drain(self) -> None:
        while self._waiting:
            try:
                self._make(self._waiting.popleft())
            except Exception:  # one that cannot be made must not cost those to come
                self._losses.drop("broken")
            self._losses.tell()
            time.sleep(0)  # let go of the interpreter: those who answer requests wait for it
