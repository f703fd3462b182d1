"""Requests at random times, whether or not earlier ones are done, without a retry."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from typing import TypeAlias

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2

from rhapsode.v1 import text_pb2

CONNECTIONS = 8  # the server takes 100 requests at a time on one
PROBE_SECONDS = 0.05
PAUSE_SECONDS = 0.1
RAMP = 0.05  # the share of a load's time that passes before its work is counted
DEADLINE_SECONDS = 30.0
PUSHBACK, DETAILS = "grpc-retry-pushback-ms", "grpc-status-details-bin"
REASONS = frozenset({"QUEUE_FULL", "DEADLINE_TOO_SHORT"})
SAMPLE = 50  # of so many refusals the reason of one is read: the generator has the server's cores
_METHOD = "/rhapsode.v1.TextService/GenerateText"
_SERVING = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING).SerializeToString()
_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]] | None
Send: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"


@dataclass
class Answers:
    """Seconds that answers took, by what they were. Of requests that were refused, when they were."""

    begun: float = field(default_factory=time.perf_counter)
    accepted: list[float] = field(default_factory=list)
    done_at: list[float] = field(default_factory=list)
    """When each accepted one was done, in seconds since the beginning."""
    refused: list[float] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    """Statuses that are neither."""

    async def take(self, call: Awaitable[bytes], planned: float) -> bool:
        """Wait for an answer: whether the request was accepted.

        Times count from when the request was to be sent, not from when that was managed.
        """
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and self._tells(error.trailing_metadata()):
                self.refused.append(time.perf_counter() - planned)
            else:
                self.other.append(f"{error.code().name}: {error.details()}")
            return False
        now = time.perf_counter()
        self.accepted.append(now - planned)
        self.done_at.append(now - self.begun)
        return True

    @property
    def ended(self) -> int:
        """Requests that were sent and came to an end."""
        return len(self.accepted) + len(self.refused) + len(self.other)

    def _tells(self, trailing: Metadata) -> bool:
        """Whether a refusal says when to come again, and, of one in a while, why."""
        told = {key: value for key, value in trailing or () if key in (PUSHBACK, DETAILS)}
        return PUSHBACK in told and (len(self.refused) % SAMPLE > 0 or _reason(told.get(DETAILS)) in REASONS)

    def rate(self, seconds: float) -> float:
        """Requests a second, one at least, that were done while they were sent, the beginning not counted."""
        done = sum(RAMP * seconds <= moment < seconds for moment in self.done_at)
        return max(1, done) / ((1 - RAMP) * seconds)


def _reason(details: str | bytes | None) -> str:
    """The reason that a status names; none where it names none."""
    info = ErrorInfo()
    found = Status.FromString(details).details if isinstance(details, bytes) else ()
    return next((info.reason for each in found if each.Unpack(info)), "")


class Generator:
    """Sends text requests of one kind, over some connections in turn."""

    def __init__(self, channels: Sequence["grpc.aio.Channel"], model: str, tokens: int, seed: int) -> None:
        sends: list[Send] = [channel.unary_unary(_METHOD) for channel in channels]
        self._sends: Iterator[Send] = cycle(sends)
        self._gaps = random.Random(seed)
        generation = text_pb2.TextGeneration(model=model, seed=seed, stopping=text_pb2.Stopping(max_tokens=tokens))
        self._request = text_pb2.GenerateTextRequest(generation=generation).SerializeToString()

    async def closed(self, clients: int, seconds: float) -> Answers:
        """So many clients, each of which sends its next request when the last one is answered; refused ones pause.

        They begin one after another, since requests that begin together end together, now inside of what is counted
        and now outside.
        """
        answers = Answers()

        async def client(number: int) -> None:
            await asyncio.sleep(RAMP * seconds * number / clients)
            while time.perf_counter() < answers.begun + seconds:
                if not await answers.take(self._send(), time.perf_counter()):
                    await asyncio.sleep(PAUSE_SECONDS)

        await asyncio.gather(*map(client, range(clients)))
        return answers

    async def open(self, rate: float, seconds: float) -> Answers:
        """Requests at random times (Poisson), `rate` a second in the mean; then waits for what is still under way."""
        answers = Answers()
        planned, tasks = answers.begun, set[asyncio.Task[bool]]()
        while planned < answers.begun + seconds:
            if (early := planned - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            task = asyncio.create_task(answers.take(self._send(), planned))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            planned += self._gaps.expovariate(rate)
        await asyncio.gather(*tasks)
        return answers

    def _send(self) -> "grpc.aio.UnaryUnaryCall[bytes, bytes]":
        return next(self._sends)(self._request, timeout=DEADLINE_SECONDS)


@asynccontextmanager
async def generator(address: str, model: str, tokens: int, seed: int) -> AsyncIterator[Generator]:
    """Open connections to a server, and what sends over them."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, _OPTIONS)) for _ in range(CONNECTIONS)
        ]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        yield Generator(channels, model, tokens, seed)


@asynccontextmanager
async def probed(address: str) -> AsyncIterator[list[float]]:
    """Ask for health all the time, over a connection of its own: the seconds that it took, for ever where it failed."""
    took: list[float] = []

    async def probe(channel: "grpc.aio.Channel") -> None:
        check: Send = channel.unary_unary("/grpc.health.v1.Health/Check")
        asked = health_pb2.HealthCheckRequest(service="readiness").SerializeToString()
        while True:
            began = time.perf_counter()
            try:
                fine = await check(asked, timeout=5) == _SERVING
            except grpc.aio.AioRpcError:
                fine = False
            took.append(time.perf_counter() - began if fine else float("inf"))
            await asyncio.sleep(PROBE_SECONDS)

    async with grpc.aio.insecure_channel(address, _OPTIONS) as channel:
        probing = asyncio.create_task(probe(channel))
        try:
            yield took
        finally:
            probing.cancel()
