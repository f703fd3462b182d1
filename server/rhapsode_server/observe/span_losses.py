"""Spans that are lost: counted at once, told of in a line a minute."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Lock

from rhapsode_server.observe.traces import CountLoss, Loss

Tell = Callable[[str, Mapping[str, object]], object]  # a line's event and fields; safe from any thread

QUIET = 60.0  # seconds after news of losses was told in which no more is


class SpanLosses:
    """What is lost of one server's spans. Safe from any thread; `tell` is for one of them."""

    def __init__(self, warn: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._warn = warn
        self._clock = clock
        self._lock = Lock()
        self._untold: Counter[Loss] = Counter()
        self._quiet_until = clock()
        self.count: CountLoss = lambda *_: None
        """Counts what somebody else tells of."""

    def drop(self, loss: Loss) -> None:
        """Count a span, to be told of."""
        self.count(loss, 1)
        with self._lock:
            self._untold[loss] += 1

    def tell(self, last: bool = False) -> None:
        """Warn of what was dropped since the last warning; where that was just now, only if this is the `last` one."""
        if not self._untold or (self._clock() < self._quiet_until and not last):
            return
        self._quiet_until = self._clock() + QUIET
        with self._lock:
            untold, self._untold = self._untold, Counter()
        with suppress(RuntimeError):  # the event loop whose thread logs may be over
            for loss, spans in untold.items():
                self._warn("spans are dropped", {"reason": loss, "spans": spans})

    def abandon(self) -> None:
        """Warn of spans that are under way and will not arrive: the collector has them or not, and does not say."""
        with suppress(RuntimeError):
            self._warn("traces cannot be exported", {"reason": "the collector does not answer"})
