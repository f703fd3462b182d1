"""How many connections a gRPC address has, of which gRPC itself says nothing.

Only this process's own descriptors are looked at, whatever else the machine is connected to: 1000 connections take
4 ms of CPU, in which others have their turns.
"""

import ctypes
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Gauge

_DESCRIPTORS = Path("/proc/self/fd")
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
        with os.scandir(_DESCRIPTORS) as entries:
            numbers = [int(entry.name) for entry in entries]
    except OSError:
        return math.nan
    system, said = ctypes.CDLL(None), _Address()
    length = ctypes.c_uint32()
    sockets = (n for n in numbers if _asks(system.getsockname, n, said, length) and said.is_at(place))
    return sum(_asks(system.getpeername, number, said, length) for number in sockets)


def _place(address: str) -> _Place:
    if address.startswith("unix:"):
        return address.removeprefix("unix:").removeprefix("//").encode()
    return int(address.rpartition(":")[2])


class _Address(ctypes.Structure):
    """As Linux writes it: of the family's own part, the port comes first, or the path."""

    _fields_ = (("family", ctypes.c_uint16), ("own", ctypes.c_char * 126))

    def is_at(self, place: _Place) -> bool:
        """Whether it is this port, or this path."""
        if isinstance(place, bytes):
            return bool(self.family == socket.AF_UNIX and self.own == place)
        return self.family in _INTERNET and bytes(self)[2:4] == place.to_bytes(2)


def _asks(what: Callable[..., int], descriptor: int, said: _Address, length: ctypes.c_uint32) -> bool:
    """Ask the system about a descriptor as it is: a socket of Python's own would have to own it."""
    length.value = ctypes.sizeof(said)
    said.own = b""  # who has no name says nothing of it
    return what(descriptor, ctypes.byref(said), ctypes.byref(length)) == 0
