"""Has picture jobs done: rows to the engine, and what takes long outside of the event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.errors import DeadlineExpired
from rhapsode_server.models.decoder import Pixels
from rhapsode_server.models.encoder import Encoded, EncodeRow
from rhapsode_server.models.transform import Transformed, TransformRow
from rhapsode_server.observe.logs import note
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.trace_context import CURRENT
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.rpc.aside import aside
from rhapsode_server.rpc.convert_images import ImageJob
from rhapsode_server.rpc.image_reply import Developed, News
from rhapsode_server.rpc.in_order import InOrder
from rhapsode_server.rpc.input_pictures import Field, Taken, take
from rhapsode_server.rpc.pictures import Writer
from rhapsode_server.rpc.press import Press
from rhapsode_server.rpc.room import Room
from rhapsode_server.rpc.served import EncodeDriver, Served, TransformDriver

WAITING_BYTES = 2 << 20  # of pictures that may wait for a slow reader before their job is parked
WORKERS = 2  # more threads than cores only pass the interpreter's lock around

INLINE_BYTES = 1 << 18  # of raw pictures that are written in the event loop: some tenths of a millisecond
MANY = 500  # pictures whose rows take about a millisecond to make
TURN = 0.02  # seconds that a request may read pictures or codes before others have their turn

P = ParamSpec("P")
T = TypeVar("T")
GivenT = TypeVar("GivenT")
RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
Send = Callable[[Developed], Awaitable[None]]
Take = Callable[[News], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A picture as the encoder saw it."""

    encoded: Encoded
    converted: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """What a picture was transformed to, and whether it had to be converted before."""

    transformed: Transformed
    converted: bool


class Darkroom:
    """Shared by all rpcs that have to do with pictures; `pace` is when news are worth a message."""

    def __init__(self, pace: Pace, metrics: Metrics, traces: Traces = NO_TRACES) -> None:
        self._pace = pace
        self._traces = traces
        self._paces: dict[int, Pace] = {}
        self._workers = metrics.pool("pictures", WORKERS)
        # A file of a client's may take a second to read, and cannot be interrupted: those of others are made meanwhile.
        self._readers = metrics.pool("reading", WORKERS)
        self._room = Room(metrics)
        self._press = Press(self._workers, WORKERS, metrics)

    def close(self) -> None:
        """Let the threads end."""
        for threads in (self._workers, self._readers):
            threads.shutdown(wait=False, cancel_futures=True)

    async def prepare(self, count: int, read: Callable[P, ImageJob], *given: P.args, **named: P.kwargs) -> ImageJob:
        """Read a request for `count` pictures; outside of the event loop where that takes long."""
        return read(*given, **named) if count < MANY else await self.outside(read, *given, **named)

    async def develop(self, job: ImageJob, until: float, send: Send) -> None:
        """Have all pictures made, and hand them to `send` in order as they come. Ends at `until`, a monotonic time."""
        made = 0

        async def developed(news: News) -> None:
            nonlocal made
            told = await self._develop(job, news)
            await send(told)
            made += len(told.pictures)

        try:
            await self.make(job, until, developed)
        finally:
            note(items=made)

    async def make(self, job: ImageJob, until: float, take: Take) -> None:
        """Have all pictures made, and hand what the engine tells of them to `take`, in order as it comes."""
        order = InOrder(job.rows[0].index)
        async with job.driver.submit(job.rows, until, self._pace_of(job)) as outbox:
            async for news in outbox:
                if ready := order.ready(news):
                    await take(ready)

    async def events(self, driver: Driver[RowT, EventT], rows: Sequence[RowT], until: float) -> list[EventT]:
        """Have rows of one step done: what came of each, in order. No rows are no work."""
        events: list[EventT] = []
        if not rows:
            return events
        async with driver.submit(rows, until, self._pace) as outbox:
            async for news in outbox:
                events += (event for delivery in news for event in delivery.events)
        return events

    async def read(self, fields: Sequence[Field], served: Served, until: float) -> Sequence[Taken]:
        """A client's pictures as the model takes them. Raises QueueFull; InvalidField for one that cannot be read."""
        spec = served.loaded.bundle.image
        with self.place(served, (len(field.picture.data) for field in fields)):
            return await self.in_turns(lambda field: take(field.picture, spec, field.path), fields, until)

    def place(self, served: Served, sizes: Iterable[int]) -> AbstractContextManager[None]:
        """The place of something of these bytes that waits to be read. Raises QueueFull."""
        return self._room.place(served.loaded.name, sum(sizes))

    async def encode(
        self, driver: EncodeDriver, fields: Sequence[Field], served: Served, until: float
    ) -> Sequence[Reading]:
        """Where pictures lie in latent space, in order. Raises InvalidField for one that cannot be read."""
        taken = await self.read(fields, served, until)
        encoded = await self.events(driver, [EncodeRow(one.values) for one in taken], until)
        return [Reading(result, one.converted) for result, one in zip(encoded, taken, strict=True)]

    async def transform(
        self, driver: TransformDriver, fields: Sequence[Field], served: Served, until: float
    ) -> Sequence[Changed]:
        """What becomes of pictures, in order. Raises InvalidField for one that cannot be read."""
        taken = await self.read(fields, served, until)
        made = await self.events(driver, [TransformRow(one.values) for one in taken], until)
        return [Changed(result, one.converted) for result, one in zip(made, taken, strict=True)]

    async def write(self, writer: Writer, pictures: Sequence[Pixels]) -> Sequence[bytes]:
        """Pictures as bytes, in order."""
        if writer.raw and writer.most_bytes * len(pictures) <= INLINE_BYTES:
            return writer.write(pictures)
        began = time.perf_counter()
        try:
            return await self._press.write(writer, pictures)
        finally:
            self._traces.encoded(CURRENT.get(), time.perf_counter() - began, writer.name, len(pictures))

    async def in_turns(self, work: Callable[[GivenT], T], given: Sequence[GivenT], until: float) -> Sequence[T]:
        """Do work on each, in order, outside of the event loop: in turns, so that a small request need not wait for
        the large ones of others.
        """
        done: list[T] = []
        while len(done) < len(given):
            if time.monotonic() >= until:
                raise DeadlineExpired("the deadline passed before the request was read")
            rest = given[len(done) :]
            done += await aside(self._readers, _do_some, work, rest)
        return done

    async def outside(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Do what takes long in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, lambda: work(*arguments, **keywords))

    async def _develop(self, job: ImageJob, news: News) -> Developed:
        rows = [delivery.row for delivery in news]
        pictures = [picture for delivery in news for picture in delivery.events]
        values = [picture.values for picture in pictures]
        return Developed(job, rows, pictures, await self.write(job.writer, values))

    def _pace_of(self, job: ImageJob) -> Pace:
        """Slow readers are measured in bytes, since pictures are of all sizes."""
        values = job.writer.values
        pace = self._paces.get(values)
        if pace is None:
            bound = max(self._pace.flush_items, WAITING_BYTES // (4 * values))
            pace = Pace(self._pace.flush_items, self._pace.flush_interval, bound=min(bound, self._pace.bound))
            self._paces[values] = pace
        return pace


def _do_some(work: Callable[[GivenT], T], given: Sequence[GivenT]) -> Sequence[T]:
    """Do the first, in order, for one turn: one at least, though it take longer."""
    end = time.monotonic() + TURN
    done: list[T] = []
    for one in given:
        done.append(work(one))
        if time.monotonic() >= end:
            break
    return done
