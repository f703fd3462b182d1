"""How many connections a gRPC address has, of which gRPC itself says nothing.

Only this process's own descriptors are looked at, whatever else the machine is connected to: 1000 connections take
2.5 ms, in which others have their turns.
"""

import ctypes
import math
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Gauge

_DESCRIPTORS = Path("/proc/self/fd")
_LARGEST = 128  # bytes of an address
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_Place: TypeAlias = int | bytes  # a port, or the path of a unix socket


class ConnectionMetrics:
    """The connections of the models' address, in the registry that it is given, counted when they are asked for."""

    def __init__(self, registry: CollectorRegistry, most: int) -> None:
        self._open = Gauge(
            "rhapsode_open_connections",
            "Connections to the models' address, those in their handshake included.",
            registry=registry,
        )
        limit = Gauge("rhapsode_connections_limit", "Connections that there may be at a time.", registry=registry)
        limit.set(most)

    def listens(self, address: str) -> None:
        """Count those to this address from now on, host:port or unix:path."""
        place = _place(address)
        self._open.set_function(lambda: open_connections(place))


def open_connections(place: _Place) -> float:
    """Count the descriptors of this process that are connections somebody made to this port or path.

    NaN where that cannot be known: elsewhere than on Linux, and when there is not one descriptor left to look with.
    """
    try:
        numbers = [int(entry.name) for entry in _DESCRIPTORS.iterdir()]
    except OSError:
        return math.nan
    ask = _Asker()
    return sum(ask.is_connection_to(number, place) for number in numbers)


def _place(address: str) -> _Place:
    if address.startswith("unix:"):
        return address.removeprefix("unix:").removeprefix("//").encode()
    return int(address.rpartition(":")[2])


class _Asker:
    """Asks the system about descriptors, as they are: Python's own sockets would have to own them."""

    def __init__(self) -> None:
        self._system = ctypes.CDLL(None)
        self._address = ctypes.create_string_buffer(_LARGEST)
        self._length = ctypes.c_uint32()

    def is_connection_to(self, descriptor: int, place: _Place) -> bool:
        return self._asks(self._system.getsockname, descriptor) and self._says(place) and self._has_peer(descriptor)

    def _has_peer(self, descriptor: int) -> bool:
        return self._asks(self._system.getpeername, descriptor)

    def _asks(self, what: Callable[..., int], descriptor: int) -> bool:
        self._length.value = _LARGEST
        return what(descriptor, self._address, ctypes.byref(self._length)) == 0

    def _says(self, place: _Place) -> bool:
        said = self._address.raw[: self._length.value]
        (family,) = struct.unpack_from("=H", said)
        if isinstance(place, bytes):
            return bool(family == socket.AF_UNIX and said[2:].partition(b"\0")[0] == place)
        return bool(family in _INTERNET and struct.unpack_from("!H", said, 2)[0] == place)
