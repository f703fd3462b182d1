"""The same loads through a server in another process."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import grpc
from benchmarks.cases import Case, Measurement, Way
from benchmarks.cost import cpu_seconds
from benchmarks.requests import Taken, send
from deploy.local_server import LocalServer

STREAMS_A_CONNECTION = 64
EVERYBODY = ("--slots=1024", "--queue-wait=60")
"""Settings of a server that steps all streams in turn, and refuses none."""
Send: TypeAlias = "Callable[[grpc.aio.Channel, Case, int, int], Awaitable[Taken]]"
"""Sends request number so-and-so of a case with a seed: what send of benchmarks.requests is."""
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@asynccontextmanager
async def connected(server: LocalServer, streams: int) -> AsyncIterator[Sequence["grpc.aio.Channel"]]:
    """Open connections for so many streams at once."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(server.address, _OWN_CONNECTION))
            for _ in range(0, streams, STREAMS_A_CONNECTION)
        ]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield channels


async def measure(server: LocalServer, case: Case, way: Way, seed: int, send: Send = send) -> Measurement:
    """Send a case's requests at once, wait for all of their answers, and account for both processes' CPU time."""
    async with connected(server, case.requests) as channels:
        account = _Account(server)
        taken: list[Taken] = []
        for repeat in range(case.repeats):
            requests = (
                send(channels[number // STREAMS_A_CONNECTION], case, seed + repeat, number)
                for number in range(case.requests)
            )
            taken += await asyncio.gather(*requests)
        return account.close(case, way, taken)


async def measure_arrivals(server: LocalServer, case: Case, way: Way, seed: int, rate: float) -> Measurement:
    """Send requests at random times, `rate` a second on average, whether or not earlier ones are done (open loop).

    Times count from the planned arrival, so that a late client is not mistaken for a fast server.
    """
    gaps = random.Random(seed)
    async with connected(server, case.requests) as channels:
        account = _Account(server)
        arrival, tasks = time.perf_counter(), []
        for number in range(case.requests):
            arrival += gaps.expovariate(rate)
            await asyncio.sleep(max(0.0, arrival - time.perf_counter()))
            channel = channels[number % len(channels)]
            tasks.append(asyncio.create_task(_late(send(channel, case, seed, number), arrival)))
        return account.close(case, way, await asyncio.gather(*tasks))


class _Account:
    """Clocks of both processes, read when it is opened and when it is closed."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._wall, self._own, self._theirs = self._read()

    def close(self, case: Case, way: Way, taken: Sequence[Taken]) -> Measurement:
        """What has been spent since."""
        wall, own, theirs = self._read()
        return Measurement(
            case.name,
            way,
            case.total,
            wall - self._wall,
            theirs - self._theirs,
            own - self._own,
            tuple(one.first for one in taken),
            tuple(one.end for one in taken),
        )

    def _read(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_seconds(self._server.process_id)


async def _late(answer: Awaitable[Taken], arrival: float) -> Taken:
    """Count the time from `arrival` to the sending in."""
    late = time.perf_counter() - arrival
    taken = await answer
    return Taken(taken.first + late, taken.end + late)
