"""The page that Prometheus scrapes: made in short slices, and not again and again, so that the rpcs notice little.

All threads share the interpreter's lock, and whoever holds it is asked for it only after 5 ms: a page of many models,
made in one go, would be a delay of some tens of milliseconds for whatever comes meanwhile. One that is asked for more
often than it may be made is the last one again.
"""

import gzip
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

SHARE = 0.005  # of one core's time, in the long run
CREDIT = 0.5  # seconds of work that may be done at once after a rest
SLICE = 0.0003  # seconds of work before others have a turn
PAUSE = 0.001
PACKING = 1  # gzip's level: 9 makes a page a third smaller, and takes five times as long

OPEN_METRICS = "application/openmetrics-text"
"""What asks for it, among the types that a scraper accepts."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a page is written: in OpenMetrics, which has exemplars, or as plain text; packed with gzip or not."""

    open_metrics: bool = False
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What is sent, and when it was begun."""

    content_type: str
    body: bytes
    began: float


class Budget:
    """Work that is allowed: CREDIT seconds at once, SHARE of the time in the long run."""

    def __init__(self, now: float) -> None:
        self._credit = CREDIT
        self._known = now

    def allows(self, now: float) -> bool:
        """Whether anything may be done; what is begun may be done to its end."""
        self._credit = min(CREDIT, self._credit + SHARE * (now - self._known))
        self._known = now
        return self._credit > 0

    def spend(self, seconds: float) -> None:
        """Count what has been done."""
        self._credit -= seconds


class Pages:
    """Makes the pages of a registry, one at a time however many ask; safe from any thread."""

    def __init__(
        self,
        registry: Collector,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._worked = worked
        self._budget = Budget(clock())
        self._made: dict[Form, Page] = {}
        self._making = threading.Lock()

    def get(self, form: Form) -> Page:
        """A page begun after this call; the last one where pages are asked for too often."""
        asked = self._clock()
        with self._making:
            last = self._made.get(form)
            if last and (last.began >= asked or not self._budget.allows(self._clock())):
                return last
            began = self._worked()
            page = self._make(form)
            self._budget.spend(self._worked() - began)
            self._made[form] = page
            return page

    def _make(self, form: Form) -> Page:
        began = self._clock()
        encode, content_type = choose_encoder(OPEN_METRICS if form.open_metrics else "")
        body = encode(_Unhurried(self._registry))
        return Page(content_type, gzip.compress(body, PACKING) if form.packed else body, began)


class _Pacer:
    """Lets others have a turn after each slice of work."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def pace(self) -> None:
        if time.perf_counter() - self._began >= SLICE:
            time.sleep(PAUSE)
            self._began = time.perf_counter()


class _Unhurried:
    """A registry whose samples are read in slices."""

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        pacer = _Pacer()
        for family in self._registry.collect():
            pacer.pace()
            paced = copy(family)
            paced.samples = _Samples(family.samples, pacer)
            yield paced


class _Samples(list[Sample]):
    """Samples that are read in slices."""

    def __init__(self, samples: Iterable[Sample], pacer: _Pacer) -> None:
        super().__init__(samples)
        self._pacer = pacer

    def __iter__(self) -> Iterator[Sample]:
        for sample in super().__iter__():
            self._pacer.pace()
            yield sample
