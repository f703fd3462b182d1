"""Makes requests with gRPC's own client, and records what comes of them.

It shows what a client is given, and it ends a call once and gives nothing afterwards, whatever the server sends: what
comes after an end is seen by frames.py alone.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
from benchmarks.soak.history import CANCELLED, OK, Ending, Message, Question, Record
from benchmarks.soak.kinds import Kind
from benchmarks.soak.reading import Reader
from google.protobuf.message import Message as ProtoMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

DETAILS = "grpc-status-details-bin"
PATIENCE = 120.0  # seconds of a request without a wish of its own: one that takes so long hangs
OVERLOADED = ("QUEUE_FULL",)  # what any request may be told at any time
ANSWERED = (OK, *OVERLOADED)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a request is made, apart from what it asks."""

    permitted: tuple[str, ...] = ANSWERED
    timeout: float | None = None
    cancel_after: float | None = None
    """Seconds after which it is cancelled."""
    cancel_at: int = 0
    """Messages after which it is cancelled; 0 for never."""
    pause: float = 0.0
    """Seconds for which no room is made for more than the first bytes; of what is read frame by frame."""
    body: bytes | None = None
    """What is sent instead of the request."""
    frames: bool = False
    """Whether it is to be read frame by frame, with another client than gRPC's."""


PLAIN = Wish()


@dataclass(slots=True)
class Seen:
    """What has come of a request so far."""

    cancelled: float | None = None
    messages: list[Message] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    def record(self, number: int, question: Question, lanes: int, wish: Wish, started: float) -> Record:
        """All of it, for those who judge."""
        return Record(
            number,
            question,
            started,
            lanes,
            wish.permitted,
            wish.timeout,
            self.cancelled,
            tuple(self.messages),
            tuple(self.endings),
        )


_Call: TypeAlias = "grpc.aio.UnaryStreamCall[bytes, ProtoMessage] | grpc.aio.UnaryUnaryCall[bytes, ProtoMessage]"


class Recorder:
    """Makes one request after another on a channel; numbers them."""

    def __init__(self, channel: "grpc.aio.Channel", clock: Callable[[], float] = time.monotonic) -> None:
        self._channel = channel
        self._clock = clock
        self._numbers = itertools.count()

    async def ask(self, kind: Kind, seed: int, wish: Wish = PLAIN, channel: "grpc.aio.Channel | None" = None) -> Record:
        """Make a request, of another channel where one is given, and wait for its end."""
        body = kind.make(seed).SerializeToString() if wish.body is None else wish.body
        number, started = next(self._numbers), self._clock()
        running = _Running(self._clock)
        call = _call(channel or self._channel, kind, body, wish.timeout)
        canceller = asyncio.create_task(running.cancel(call, wish.cancel_after)) if wish.cancel_after else None
        try:
            async with asyncio.timeout(PATIENCE):
                await running.take(call, wish)
        except TimeoutError:
            call.cancel()  # recorded without an ending: it hung
        finally:
            if canceller is not None:
                canceller.cancel()
        return running.seen.record(number, Question(kind.name, seed), kind.lanes, wish, started)


class _Running:
    """A request that is under way."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reader = Reader()
        self.seen = Seen()

    async def take(self, call: _Call, wish: Wish) -> None:
        """Read until the end."""
        seen = self.seen
        try:
            async for message in _messages(call):
                seen.messages.append(self._reader.read(message, self._clock()))
                if len(seen.messages) == wish.cancel_at:
                    call.cancel()
            seen.endings.append(Ending(self._clock(), (await call.code()).name))
        except grpc.aio.AioRpcError as error:
            seen.endings.append(Ending(self._clock(), error.code().name, _reason(error)))
        except asyncio.CancelledError:
            if _interrupted():
                raise
            seen.cancelled = self._clock()
            seen.endings.append(Ending(seen.cancelled, CANCELLED))

    async def cancel(self, call: _Call, delay: float | None) -> None:
        """Cancel the call after a while, if it is still under way; what is on its way may come until it has ended."""
        await asyncio.sleep(delay or 0.0)
        call.cancel()


def _call(channel: "grpc.aio.Channel", kind: Kind, body: bytes, timeout: float | None) -> _Call:
    read = kind.reply.FromString
    if kind.streams:
        stream: grpc.aio.UnaryStreamMultiCallable[bytes, ProtoMessage] = channel.unary_stream(kind.method, None, read)
        return stream(body, timeout=timeout)
    unary: grpc.aio.UnaryUnaryMultiCallable[bytes, ProtoMessage] = channel.unary_unary(kind.method, None, read)
    return unary(body, timeout=timeout)


def _interrupted() -> bool:
    """Whether it is this task that is cancelled, and the call with it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _messages(call: _Call) -> AsyncIterator[ProtoMessage]:
    if isinstance(call, grpc.aio.UnaryUnaryCall):
        yield await call
        return
    async for message in call:
        yield message


def _reason(error: grpc.aio.AioRpcError) -> str:
    """The reason in a status's details; read here, since a deadline of the client's changes only what stands beside."""
    found = (value for key, value in error.trailing_metadata() or () if key == DETAILS)
    return next((reason_in(value) for value in found if isinstance(value, bytes)), "")


def reason_in(details: bytes) -> str:
    """The reason that a google.rpc.Status tells."""
    for detail in Status.FromString(details).details:
        info = ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""
