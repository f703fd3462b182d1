"""HTTP/2 frame by frame, for clients that break its rules: nothing that was sent is kept in mind."""

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.abuse.wire import PATIENCE, Header, frame, headers, readable, status_name
from h2.errors import ErrorCodes
from hpack import Decoder, Encoder, HPACKError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
LARGEST_FRAME = 16_384


@dataclass(frozen=True, slots=True)
class Frame:
    """What a server sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes


class Raw:
    """A connection on which anything may be said. `answers`: to the server's settings and pings."""

    def __init__(self, address: str, first: bytes = PREFACE + frame(SETTINGS, 0, 0, b""), answers: bool = True) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._kept = b""
        self._decoder = Decoder()
        self._answers = answers
        self.ended = False
        self.told = False
        """Whether the server has said that it will end the connection."""
        self.send(first)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; nothing to a server that has closed the connection, or does not read for long."""
        try:
            self._socket.sendall(data)
        except OSError:
            self.ended = True

    def frames(self, wait: float) -> list[Frame]:
        """What has come, or comes in so many seconds."""
        if self.ended or not readable(self._socket, wait):
            return []
        data = b""
        with suppress(OSError):
            data = self._socket.recv(1 << 18)
        self.ended = not data
        self._kept += data
        found = list(self._parsed())
        for each in found:
            if self._answers and each.kind in (SETTINGS, PING) and not each.flags & ACK:
                self.send(frame(each.kind, ACK, 0, each.payload if each.kind == PING else b""))
        return found

    def ending(self, patience: float = PATIENCE) -> str:
        """The first end of anything that the server tells of, in words; "nothing" where none comes in time."""
        limit = time.monotonic() + patience
        while not self.ended and (left := limit - time.monotonic()) > 0:
            for each in self.frames(left):
                if words := self.end_told(each):
                    return words
        return "closed" if self.ended else "nothing"

    def end_told(self, told: Frame) -> str:
        """The end that a frame tells of, in words; none for most frames. To be asked of each frame in turn."""
        if told.kind == GOAWAY:
            self.told = True
            return f"GOAWAY {ErrorCodes(struct.unpack('>I', told.payload[4:8])[0]).name}"
        if told.kind == RST_STREAM:
            code = ErrorCodes(struct.unpack(">I", told.payload)[0])
            return f"RST_STREAM {code.name}" if code else ""  # without an error it only follows a status
        if told.kind == HEADERS:
            with suppress(HPACKError):
                fields: Sequence[tuple[bytes, bytes]] = self._decoder.decode(told.payload, raw=True)  # type: ignore[assignment]
                return status_name(fields) or _http(fields)
        return ""

    def _parsed(self) -> Iterator[Frame]:
        while len(self._kept) >= 9:
            length = int.from_bytes(self._kept[:3], "big")
            if len(self._kept) < 9 + length:
                return
            kind, flags, stream = struct.unpack(">BBI", self._kept[3:9])
            payload, self._kept = self._kept[9 : 9 + length], self._kept[9 + length :]
            yield Frame(kind, flags, stream, payload)


def block(path: str, more: Sequence[Header] = ()) -> bytes:
    """The headers of an rpc, encoded."""
    return encoded((*headers(path), *more))


def encoded(fields: Sequence[Header]) -> bytes:
    """Headers that leave nothing behind in the server's table, so that they can be sent again as they are."""
    return Encoder().encode([(name, value, True) for name, value in fields], huffman=False)


def _http(fields: Sequence[tuple[bytes, bytes]]) -> str:
    """An answer of HTTP that is none of gRPC."""
    status = dict(fields).get(b":status", b"200")
    return "" if status == b"200" else f"HTTP {status.decode()}"
