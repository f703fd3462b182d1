"""Has picture jobs done: rows to the engine, and what takes long outside of the event loop."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from rhapsode_server.engine.outbox import Pace
from rhapsode_server.errors import DeadlineExpired
from rhapsode_server.models.encoder import Encoded, EncodeRow
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.catalog import EncodeDriver, Served
from rhapsode_server.rpc.convert_images import ImageJob
from rhapsode_server.rpc.image_reply import Developed, News
from rhapsode_server.rpc.in_order import InOrder
from rhapsode_server.rpc.input_pictures import Field, Taken, take
from rhapsode_server.rpc.press import Press

WAITING_BYTES = 32 << 20  # of pictures that may wait for a slow reader before their job is parked
WORKERS = 2  # more threads than cores only pass the interpreter's lock around

INLINE_BYTES = 1 << 18  # of raw pictures that are written in the event loop: some tenths of a millisecond
MANY = 500  # pictures whose rows take about a millisecond to make
TURN = 0.02  # seconds that a request may read pictures before others have their turn

P = ParamSpec("P")
T = TypeVar("T")
Send = Callable[[Developed], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A picture as the encoder saw it."""

    encoded: Encoded
    converted: bool


class Darkroom:
    """Shared by all rpcs that have to do with pictures; `pace` is when news are worth a message."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._paces: dict[int, Pace] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="pictures")
        self._press = Press(self._workers, WORKERS)

    def close(self) -> None:
        """Let the threads end."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def prepare(self, count: int, read: Callable[P, ImageJob], *given: P.args, **named: P.kwargs) -> ImageJob:
        """Read a request for `count` pictures; outside of the event loop where that takes long."""
        return read(*given, **named) if count < MANY else await self._outside(read, *given, **named)

    async def develop(self, job: ImageJob, until: float, send: Send) -> None:
        """Have all pictures made, and hand them to `send` in order as they come. Ends at `until`, a monotonic time."""
        order = InOrder(job.rows[0].index)
        async with job.driver.submit(job.rows, until, self._pace_of(job)) as outbox:
            async for news in outbox:
                if ready := order.ready(news):
                    await send(await self._develop(job, ready))
        note(items=len(job.rows), queue_ms=round((outbox.timings().queue_seconds or 0.0) * 1000, 3))

    async def encode(
        self, driver: EncodeDriver, fields: Sequence[Field], served: Served, until: float
    ) -> Sequence[Reading]:
        """Where pictures lie in latent space, in order. Raises InvalidField for one that cannot be read."""
        taken: list[Taken] = []
        while len(taken) < len(fields):  # in turns, so that a small request need not wait for large pictures of others
            if time.monotonic() >= until:
                raise DeadlineExpired("the deadline passed before the pictures were read")
            taken += await self._outside(_take_some, fields[len(taken) :], served)
        encoded: list[Encoded] = []
        rows = [EncodeRow(one.values) for one in taken]
        async with driver.submit(rows, until, self._pace) as outbox:
            async for news in outbox:
                encoded += (event for delivery in news for event in delivery.events)
        return [Reading(result, one.converted) for result, one in zip(encoded, taken, strict=True)]

    async def _develop(self, job: ImageJob, news: News) -> Developed:
        rows = [delivery.row for delivery in news]
        pictures = [picture for delivery in news for picture in delivery.events]
        values = [picture.values for picture in pictures]
        inline = job.writer.raw and job.writer.most_bytes * len(values) <= INLINE_BYTES
        data = job.writer.write(values) if inline else await self._press.write(job.writer, values)
        return Developed(job, rows, pictures, data)

    async def _outside(self, work: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, lambda: work(*arguments, **keywords))

    def _pace_of(self, job: ImageJob) -> Pace:
        """Slow readers are measured in bytes, since pictures are of all sizes."""
        values = job.writer.values
        pace = self._paces.get(values)
        if pace is None:
            bound = max(self._pace.flush_items, WAITING_BYTES // (4 * values))
            pace = Pace(self._pace.flush_items, self._pace.flush_interval, bound=min(bound, self._pace.bound))
            self._paces[values] = pace
        return pace


def _take_some(fields: Sequence[Field], served: Served) -> Sequence[Taken]:
    """Read pictures, in order, for one turn: one at least, though it take longer."""
    end = time.monotonic() + TURN
    taken: list[Taken] = []
    for field in fields:
        taken.append(take(field.picture, served.loaded.bundle.image, field.path))
        if time.monotonic() >= end:
            break
    return taken
