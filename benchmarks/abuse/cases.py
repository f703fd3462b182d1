"""What else may arrive at a port, and what becomes of it: other protocols, broken frames, broken requests."""

import gzip
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmarks.abuse.raw import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    block,
    encoded,
)
from benchmarks.abuse.wire import TEXT_UNARY, Header, frame, framed, headers

NOTHING, CLOSED = "nothing", "closed"
LIMIT = 4 * 1024 * 1024  # bytes of a message, the server's default
_HELLO = PREFACE + frame(SETTINGS, 0, 0, b"")
_TLS_HELLO = bytes.fromhex("16030100c4010000c00303") + bytes(range(185))
_PUSH_PROMISE, _PADDED = 5, 8
_INITIAL_WINDOW, _FRAME_SIZE = 4, 5
_HEAD = block(TEXT_UNARY)
_MESSAGE = framed(b"")  # names no model: to be refused, by every server alike
REFUSED = "INVALID_ARGUMENT"
_GZIP = (b"grpc-encoding", b"gzip")

UNFIT_IDS: Mapping[str, bytes] = MappingProxyType(
    {
        "of no text": b"\xff",
        "with a tab": b"a\tb",
        "with an accent": "café".encode(),
        "of two lines": b"a\nb",
        "with an end": b"a\0b",
        "of kilobytes": b"x" * 4000,
        "of nothing": b"",
    }
)
"""Ids of requests that no server should send back, by what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Case:
    """Bytes that a stranger sends, and what the server does about them."""

    name: str
    sent: bytes
    end: str
    """How the connection ends, or the rpc."""
    serves_on: bool = True
    """Whether the connection is served afterwards."""


def request(stream: int, message: bytes = _MESSAGE, *more: Header) -> bytes:
    """A whole unary request."""
    head = block(TEXT_UNARY, more)
    return frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, message)


def _rpc(message: bytes = _MESSAGE, *more: Header) -> bytes:
    """A connection with one request."""
    return _HELLO + request(1, message, *more)


def _begun(length: int) -> bytes:
    """A connection with a request whose message has just begun."""
    return _HELLO + frame(HEADERS, END_HEADERS, 1, _HEAD) + frame(DATA, 0, 1, struct.pack(">BI", 0, length))


def _changed(name: bytes, value: bytes | None) -> bytes:
    """A connection with a request of which one header has another value, or is not there."""
    kept = [(each, value if each == name else old) for each, old in headers(TEXT_UNARY)]
    head = encoded([(each, now) for each, now in kept if now is not None])
    return _HELLO + frame(HEADERS, END_HEADERS, 1, head) + frame(DATA, END_STREAM, 1, _MESSAGE)


def _headers(content: bytes, flags: int = END_HEADERS | END_STREAM) -> bytes:
    """A connection with a frame of headers."""
    return _HELLO + frame(HEADERS, flags, 1, content)


def _setting(number: int, value: int) -> bytes:
    return _HELLO + frame(SETTINGS, 0, 0, struct.pack(">HI", number, value))


OTHER_PROTOCOLS = (
    Case("garbage", bytes(range(255, 0, -1)) * 4, CLOSED, serves_on=False),
    Case("HTTP/1.1", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", CLOSED, serves_on=False),
    Case("TLS on the plain port", _TLS_HELLO, CLOSED, serves_on=False),
)

BROKEN_FRAMES = (
    Case("no settings first", PREFACE + frame(PING, 0, 0, bytes(8)), CLOSED, serves_on=False),
    Case("a frame that is too large", _HELLO + frame(DATA, 0, 1, bytes(20_000)), CLOSED, serves_on=False),
    Case("a window of nothing more", _HELLO + frame(WINDOW_UPDATE, 0, 0, bytes(4)), CLOSED, serves_on=False),
    Case("settings of 5 bytes", _HELLO + frame(SETTINGS, 0, 0, b"12345"), CLOSED, serves_on=False),
    Case("settings of a stream", _HELLO + frame(SETTINGS, 0, 1, b""), CLOSED, serves_on=False),
    Case("a window too large", _setting(_INITIAL_WINDOW, 1 << 31), "GOAWAY FLOW_CONTROL_ERROR", serves_on=False),
    Case("frames of 5 bytes", _setting(_FRAME_SIZE, 5), "GOAWAY PROTOCOL_ERROR", serves_on=False),
    Case("a ping of a byte", _HELLO + frame(PING, 0, 0, b"x"), CLOSED, serves_on=False),
    Case("a reset of a byte", _HELLO + frame(RST_STREAM, 0, 1, b"x"), CLOSED, serves_on=False),
    Case("a continuation of nothing", _HELLO + frame(CONTINUATION, 4, 1, _HEAD), CLOSED, serves_on=False),
    Case("a ping amid headers", _headers(_HEAD[:5], 0) + frame(PING, 0, 0, bytes(8)), "UNAVAILABLE", serves_on=False),
    Case("field 0", _headers(b"\x80"), "INTERNAL", serves_on=False),
    Case("a field that there is not", _headers(_HEAD + b"\xff\xff\x7f"), "INTERNAL", serves_on=False),
    Case("a field that is cut off", _headers(b"\x00\x7f"), "INTERNAL", serves_on=False),
    Case("more padding than frame", _headers(b"\xff" + _HEAD[:50], 5 | _PADDED), "INTERNAL", serves_on=False),
    Case("six pings", _HELLO + 6 * frame(PING, 0, 0, bytes(8)), "GOAWAY ENHANCE_YOUR_CALM", serves_on=False),
    Case("data of no stream", _HELLO + frame(DATA, 0, 0, b"x"), NOTHING),
    Case("a promise from a client", _HELLO + frame(_PUSH_PROMISE, 4, 1, bytes(10)), NOTHING),
    Case("a frame of a new kind", _HELLO + frame(0xEE, 0xFF, 1, b"xyz") + request(1), REFUSED),
    Case("streams backwards", _HELLO + request(5) + request(3), REFUSED),
)

BROKEN_REQUESTS = (
    Case("no path", _changed(b":path", None), "RST_STREAM INTERNAL_ERROR"),
    Case("an empty path", _changed(b":path", b""), "UNIMPLEMENTED"),
    Case("a path that there is not", _changed(b":path", b"/nobody/Nothing"), "UNIMPLEMENTED"),
    Case("a GET", _changed(b":method", b"GET"), "RST_STREAM INTERNAL_ERROR"),
    Case("no method", _changed(b":method", None), "RST_STREAM INTERNAL_ERROR"),
    Case("no trailers wanted", _changed(b"te", b"gzip"), "INTERNAL"),
    Case("a name in capitals", _rpc(_MESSAGE, (b"X-Bad", b"v")), "INTERNAL"),
    # An id goes back to the client, where it is fit to.
    *(Case(f"an id {what}", _rpc(_MESSAGE, (b"x-request-id", name)), REFUSED) for what, name in UNFIT_IDS.items()),
    Case("bytes that are no base64", _rpc(_MESSAGE, (b"x-bad-bin", b"@@@")), "INTERNAL"),
    Case("a deadline in words", _rpc(_MESSAGE, (b"grpc-timeout", b"soon")), "INTERNAL"),
    Case("a deadline before", _rpc(_MESSAGE, (b"grpc-timeout", b"-5S")), "INTERNAL"),
    Case("a deadline now", _rpc(_MESSAGE, (b"grpc-timeout", b"0n")), "DEADLINE_EXCEEDED"),
    Case("an encoding that there is not", _rpc(framed(b"x", True), (b"grpc-encoding", b"brotli")), "INTERNAL"),
    Case("compressed, not told how", _rpc(framed(b"x", True)), "INTERNAL"),
    Case("said to be gzip", _rpc(framed(b"not gzip", True), _GZIP), "INTERNAL"),
    Case("gzip of 8 MiB", _rpc(framed(gzip.compress(bytes(2 * LIMIT)), True), _GZIP), "RESOURCE_EXHAUSTED"),
    Case("a message of 4 MiB and a byte", _begun(LIMIT + 1), "RESOURCE_EXHAUSTED"),
    Case("a message of 4 GiB", _begun(2**32 - 1), "RESOURCE_EXHAUSTED"),
    # Left open, on gRPC's account: they end with their deadline or their connection, and hold no slot.
    Case("no message", _headers(_HEAD), NOTHING),
    Case("half a message", _rpc(framed(bytes(9))[:-3]), NOTHING),
)

CASES = (*OTHER_PROTOCOLS, *BROKEN_FRAMES, *BROKEN_REQUESTS)
