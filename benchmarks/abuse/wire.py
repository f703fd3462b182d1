"""A gRPC client of one HTTP/2 connection that does as it likes, well behaved or not."""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, TrailersReceived
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

Header = tuple[bytes, bytes]

TEXT_STREAM = "/rhapsode.v1.TextService/StreamText"
TEXT_UNARY = "/rhapsode.v1.TextService/GenerateText"
PICTURE_STREAM = "/rhapsode.v1.ImageService/StreamImages"
WATCH = "/grpc.health.v1.Health/Watch"
WINDOW = 65_535  # what HTTP/2 begins with
PATIENCE = 30.0


StatusCode = IntEnum(
    "StatusCode",
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED "
    "RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS "
    "UNAUTHENTICATED",
    start=0,
)


class Wire:
    """A connection. What the server sends is taken when `receive` is called, never before."""

    def __init__(self, address: str, window: int = WINDOW) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
        self.h2.local_settings = Settings(client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        self.ended = False
        self._statuses: dict[int, str] = {}
        self.goaway: ConnectionTerminated | None = None
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """For select."""
        return self.socket.fileno()

    def ask(self, path: str, message: bytes, more: Sequence[Header] = (), end: bool = True) -> int:
        """Begin an rpc with one message: its stream. Sent by the next `flush`."""
        stream = self.head(path, more)
        self.h2.send_data(stream, framed(message), end_stream=end)
        return stream

    def head(self, path: str, more: Sequence[Header] = ()) -> int:
        """Begin an rpc that has no message yet: its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [*headers(path), *more])
        return stream

    def reset(self, stream: int) -> bool:
        """Cancel an rpc, unless it has ended: whether it had not."""
        under_way = self.open(stream) and not self.ended
        if under_way:
            self.h2.reset_stream(stream, ErrorCodes.CANCEL)
        return under_way

    def open(self, stream: int) -> bool:
        """Whether an rpc has not ended."""
        found = self.h2.streams.get(stream)
        return found is not None and not found.closed

    def flush(self) -> None:
        """Send what was begun."""
        self.send(self.h2.data_to_send())

    def send(self, data: bytes) -> None:
        """Send bytes as they are; nothing to a server that has closed the connection."""
        try:
            self.socket.sendall(data)
        except OSError:
            self.ended = True

    def receive(self, wait: float) -> list[Event]:
        """What has come, or comes in so many seconds; what was taken is told to the server."""
        if self.ended or not readable(self.socket, wait):
            return []
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        self.ended = not data
        try:
            events = self.h2.receive_data(data) if data else []
        except ProtocolError:  # a server goes on after its GOAWAY; for h2 that was the end
            self.ended, events = True, []
        for event in events:
            self._note(event)
        self.flush()
        return events

    def until(self, wanted: Callable[[Event], bool], patience: float = PATIENCE) -> Event | None:
        """The first wanted event; None where the connection ends, or patience, before it comes."""
        limit = time.monotonic() + patience
        while not self.ended and (left := limit - time.monotonic()) > 0:
            for event in self.receive(left):
                if wanted(event):
                    return event
        return None

    def pour(self, stream: int, data: bytes) -> None:
        """Send bytes of an rpc as the server makes room for them, until it has ended the rpc."""
        while data and self.open(stream) and not self.ended:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room:
                self.h2.send_data(stream, data[:room])
                data = data[room:]
                self.flush()
            self.receive(0.0 if room else 1.0)

    def status(self, stream: int, patience: float = PATIENCE) -> str:
        """The name of the status that ends an rpc, awaited; none where none comes in time."""
        limit = time.monotonic() + patience
        while stream not in self._statuses and not self.ended and (left := limit - time.monotonic()) > 0:
            self.receive(left)
        return self._statuses.get(stream, "")

    def close(self) -> None:
        """Close the connection without a word."""
        self.socket.close()

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event
        if isinstance(event, ResponseReceived | TrailersReceived) and (name := status_name(event.headers)):
            self._statuses[event.stream_id] = name
        if isinstance(event, DataReceived) and event.flow_controlled_length:
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)


def readable(connection: socket.socket, wait: float) -> bool:
    """Whether something has come, or comes in so many seconds; select itself knows no descriptor beyond 1,023."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(1000 * wait))


def headers(path: str) -> list[Header]:
    """What every rpc begins with."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"localhost"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]


def framed(message: bytes, compressed: bool = False) -> bytes:
    """A message as gRPC sends it."""
    return struct.pack(">BI", compressed, len(message)) + message


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """An HTTP/2 frame, valid or not."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def status_name(fields: Iterable[Header]) -> str:
    """The name of the gRPC status that headers or trailers tell; none where they tell none."""
    return next((StatusCode(int(value)).name for name, value in fields if name == b"grpc-status"), "")
