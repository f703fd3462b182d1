"""What a job has to tell and its reader has not yet taken."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from rhapsode_server.engine.job import Job, Timings
from rhapsode_server.engine.scheduler import Delivery, Report
from rhapsode_server.errors import ClientTooSlow, RhapsodeError
from rhapsode_server.observe.logs import note_wait

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")


@dataclass(frozen=True, slots=True)
class Pace:
    """When a reader is handed what waits for it: messages, not events, are what costs."""

    flush_items: int = 16
    """Tokens, pictures or latents that are worth a message."""
    flush_interval: float = 0.1
    """Seconds after which any of them is worth a message."""
    few_streams: int = 4
    """With at most this many jobs open, what a run made is handed over at once."""
    bound: int = 1024
    """Items that may wait before the job's rows are parked; they go on when the reader has taken them."""
    whole: bool = False
    """Whether nothing is worth anything before all is made."""


class Desk(Protocol[RowT]):
    """What an outbox needs of the driver that fills it."""

    @property
    def crowd(self) -> int:
        """Jobs that are open now."""
        ...

    def park(self, job: Job[RowT]) -> None:
        """Stop stepping the job."""
        ...

    def unpark(self, job: Job[RowT]) -> None:
        """Step the job again."""
        ...

    def leave(self, job: Job[RowT], told: bool) -> None:
        """Nobody reads any more; `told` says whether the reader had been told of the job's end."""
        ...

    def taken(self, job: Job[RowT], first: bool, gap: float) -> None:
        """A message was handed over, `gap` seconds after the last one."""
        ...


class Outbox(Generic[RowT, EventT]):
    """An asynchronous iterator over what happened to one job; leaving its context cancels what is unfinished.

    Lives in the event loop. The first event is handed over at once, later ones at the pace, the end at once. After
    everything has been handed over, the job's error, if any, is raised.
    """

    def __init__(self, job: Job[RowT], desk: Desk[RowT], pace: Pace, clock: Callable[[], float]) -> None:
        self._job = job
        self._desk = desk
        self._pace = pace
        self._clock = clock
        self._waiting: deque[Delivery[RowT, EventT]] = deque()
        self._fleeting: dict[int, Delivery[RowT, EventT]] = {}  # by the identity of their rows
        self._items = 0
        self._closed = False
        self._error: RhapsodeError | None = None
        self._handed = 0
        self._told = False
        self._last_handed = clock()
        self._reader: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def timings(self) -> Timings:
        """Where the job's time went; of one that has not ended, so far."""
        known = self._job.timings
        return (
            known
            if known.total_seconds is not None
            else replace(known, total_seconds=self._clock() - self._job.arrived)
        )

    def put(self, report: Report[RowT, EventT]) -> None:
        """Take what a run told; called by the driver, in the event loop."""
        for delivery in report.deliveries:
            self._fleeting.pop(id(delivery.row), None)  # a slow reader misses previews; what waits for it stays bounded
            if delivery.fleeting:
                self._fleeting[id(delivery.row)] = delivery
            else:
                self._waiting.append(delivery)
            self._items += delivery.made
        if not self._closed:  # news of a run may come after the word that the job has ended
            self._closed, self._error = report.closed, report.error
            if isinstance(report.error, ClientTooSlow):  # what nobody takes must not stay in memory
                self._waiting.clear()
                self._fleeting.clear()
        if self._items > self._pace.bound and not self._closed and not self._job.parked:
            self._desk.park(self._job)
        self._call_reader()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancel_timer()
        self._desk.leave(self._job, self._told)
        timings = self.timings()
        waited = timings.total_seconds if timings.queue_seconds is None else timings.queue_seconds
        note_wait(waited or 0.0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Delivery[RowT, EventT]]:
        while not self._due():
            self._reader = asyncio.get_running_loop().create_future()
            self._set_timer()
            try:
                await self._reader
            finally:
                self._reader = None
        self._cancel_timer()
        if self._news:
            return self._hand_over()
        self._told = True
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    @property
    def _news(self) -> bool:
        """Whether there is anything to hand over."""
        return bool(self._waiting or self._fleeting)

    def _hand_over(self) -> list[Delivery[RowT, EventT]]:
        now = self._clock()
        self._desk.taken(self._job, not self._handed, now - self._last_handed)
        deliveries = [*self._waiting, *self._fleeting.values()]
        self._waiting.clear()
        self._fleeting.clear()
        self._items = 0
        self._handed += 1
        self._last_handed = now
        if self._job.parked:
            self._desk.unpark(self._job)
        return deliveries

    def _due(self) -> bool:
        """Whether the reader should be called now."""
        if self._closed or self._items >= self._pace.flush_items:
            return True
        if not self._news:
            return False
        return (
            not self._handed
            or (bool(self._waiting) and self._waiting[-1].done)
            or self._desk.crowd <= self._pace.few_streams
            or self._clock() >= self._last_handed + self._pace.flush_interval
        )

    def _call_reader(self) -> None:
        if self._reader is None or self._reader.done():
            return
        if self._due():
            self._reader.set_result(None)
        else:
            self._set_timer()

    def _set_timer(self) -> None:
        """Call the reader when what waits has waited long enough."""
        if self._news and self._timer is None:
            delay = max(0.0, self._last_handed + self._pace.flush_interval - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._call_reader()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
