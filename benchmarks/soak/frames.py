"""Makes requests with HTTP/2 frame by frame, and records what comes of them, after their end too.

gRPC's own client keeps to itself what comes after a status or a cancel. Here a cancel is acknowledged by the answer to
a ping that was sent behind it: what the server sends later, it sends in spite of it.
"""

import asyncio
import itertools
import struct
import time
from base64 import b64decode
from collections.abc import Callable, Mapping

from benchmarks.abuse.raw import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Raw,
    block,
)
from benchmarks.abuse.wire import frame, framed, status_name
from benchmarks.soak.history import CANCELLED, OK, Ending, Question, Record
from benchmarks.soak.kinds import Kind
from benchmarks.soak.reading import Reader
from benchmarks.soak.recorder import DETAILS, PATIENCE, PLAIN, Seen, Wish, reason_in
from h2.errors import ErrorCodes
from hpack import Decoder

STREAM = 1
MUCH = 2**30  # bytes that a reader has room for who never stalls
LITTLE = 64  # and one who stalls: less than any first message has
LINGER = 0.2  # seconds after an end in which more might come
_INITIAL_WINDOW = 4
_HEAD = 5  # bytes before each message of gRPC


class FrameRecorder:
    """Makes requests, each on a connection of its own; numbers them."""

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._numbers = itertools.count()

    async def ask(self, kind: Kind, seed: int, wish: Wish = PLAIN) -> Record:
        """Make a request, and wait until nothing more comes."""
        number, started = next(self._numbers), self._clock()
        seen = await asyncio.to_thread(self._read, kind, kind.make(seed).SerializeToString(), wish)
        return seen.record(number, Question(kind.name, seed), kind.lanes, wish, started)

    def _read(self, kind: Kind, body: bytes, wish: Wish) -> Seen:
        settings = struct.pack(">HI", _INITIAL_WINDOW, LITTLE if wish.pause else MUCH)
        first = PREFACE + frame(SETTINGS, 0, 0, settings) + _room(0)
        with Raw(self._address, first) as raw:
            raw.send(frame(HEADERS, END_HEADERS, STREAM, block(kind.method)))
            raw.send(frame(DATA, END_STREAM, STREAM, framed(body)))
            return _Stream(raw, kind, wish, self._clock).read()


class _Stream:
    """A request that is under way."""

    def __init__(self, raw: Raw, kind: Kind, wish: Wish, clock: Callable[[], float]) -> None:
        self._raw = raw
        self._kind = kind
        self._wish = wish
        self._clock = clock
        self._reader = Reader()
        self._decoder = Decoder()
        self._kept = b""
        self._room = LITTLE if wish.pause else MUCH
        self._answered = False
        self._cut = False
        self.seen = Seen()

    def read(self) -> Seen:
        """Read to the end, or to the cancel, and then what comes in spite of it."""
        began = self._clock()
        cancel_at = None if self._wish.cancel_after is None else began + self._wish.cancel_after
        self._until(lambda: bool(self.seen.endings) or self._room <= 0, cancel_at or began + PATIENCE)
        if self._room <= 0:
            self._until(lambda: False, self._clock() + self._wish.pause)
            self._raw.send(_room(STREAM))
            self._until(lambda: bool(self.seen.endings), began + PATIENCE)
        if not self.seen.endings and cancel_at is not None:
            self._cut = True
            self._raw.send(frame(RST_STREAM, 0, STREAM, struct.pack(">I", ErrorCodes.CANCEL)))
        if self.seen.endings or self._cut:
            self._linger()
        return self.seen

    def _linger(self) -> None:
        """Wait until the server has read all that was sent, and a while longer."""
        self._raw.send(frame(PING, 0, 0, bytes(8)))
        self._until(lambda: self._answered, self._clock() + PATIENCE)
        self._until(lambda: False, self._clock() + LINGER)

    def _until(self, enough: Callable[[], bool], limit: float) -> None:
        while not self._raw.ended and not enough() and (left := limit - self._clock()) > 0:
            for each in self._raw.frames(left):
                self._take(each)
        if self._raw.ended and not self.seen.endings:
            self.seen.endings.append(Ending(self._clock(), "closed"))

    def _take(self, told: Frame) -> None:
        if told.kind == PING and told.flags & ACK:
            self._acknowledged()
        elif told.kind == HEADERS:
            self._headers(told)
        elif told.stream == STREAM and told.kind == DATA:
            self._data(told)
        elif told.stream == STREAM and told.kind == RST_STREAM:
            code = ErrorCodes(struct.unpack(">I", told.payload)[0])
            if code is not ErrorCodes.NO_ERROR:  # that one only follows a status
                self._end(f"RST_STREAM {code.name}")

    def _acknowledged(self) -> None:
        self._answered = True
        if self._cut:
            self.seen.cancelled = self._clock()
            if not self.seen.endings:
                self._end(CANCELLED)

    def _headers(self, told: Frame) -> None:
        fields = dict(self._decoder.decode(told.payload, raw=True))
        if code := status_name(fields.items()):
            self._end(code, _reason(fields))
        elif told.flags & END_STREAM:
            self._end("headers without a status")

    def _data(self, told: Frame) -> None:
        self._room -= len(told.payload)
        self._kept += told.payload
        while len(self._kept) >= _HEAD and len(self._kept) >= (end := _HEAD + struct.unpack(">xI", self._kept[:5])[0]):
            message = self._kind.reply.FromString(self._kept[_HEAD:end])
            self._kept = self._kept[end:]
            self.seen.messages.append(self._reader.read(message, self._clock()))
        if told.flags & END_STREAM:
            self._end("no status")

    def _end(self, code: str, reason: str = "") -> None:
        cut_off = code == OK and self._kept
        self.seen.endings.append(Ending(self._clock(), "a message cut off" if cut_off else code, reason))


def _room(stream: int) -> bytes:
    """Make room for much."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", MUCH))


def _reason(fields: Mapping[bytes, bytes]) -> str:
    details = fields.get(DETAILS.encode(), b"")
    return reason_in(b64decode(details + b"=" * (-len(details) % 4)))
