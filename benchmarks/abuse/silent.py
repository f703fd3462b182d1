"""Connections on which nothing is said, or the first words come one byte a second."""

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import grpc
from benchmarks.abuse import asked
from benchmarks.abuse.beside import beside
from benchmarks.abuse.elsewhere import begun
from benchmarks.abuse.good import PLAIN, Served, asking
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.abuse.victim import TEXT, Victim, victim

CONNECTIONS = 2_000
HANDSHAKE = 5.0  # seconds that the server gives a client to say who it is
SLACK = 3.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DRIP = 1.0  # seconds between two bytes of it
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of silent connections."""

    at_once: int
    """Closed within a second of being opened, since there were too many."""
    later: int
    open_still: int
    last_seconds: float


@dataclass(frozen=True, slots=True)
class Silent:
    """What silent connections cost."""

    connections: int
    closed: Closed
    newcomer_seconds: float
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """They are closed, those that are connected do not notice, and those that are not wait no longer than that."""
        yield told("silent connections, every other one with a byte a second", self.connections)
        yield told("of them closed at once, at the cap on connections", self.closed.at_once)
        yield exactly("of them left open", self.closed.open_still, 0)
        yield at_most("the last is closed after", self.closed.last_seconds, HANDSHAKE + SLACK, "s")
        yield at_most("a new client is served after", self.newcomer_seconds, HANDSHAKE + SLACK, "s")
        yield from self.left.promises()
        yield from self.good.promises()


def run(scale: float) -> Silent:
    """Be silent."""
    with victim() as server:
        return be_silent(server, round(CONNECTIONS * scale))


def be_silent(server: Victim, connections: int, model: str = TEXT) -> Silent:
    """Open so many connections to a server and say nothing, while one client is connected and another one comes."""

    def attack() -> tuple[float, Closed]:
        with begun(say_nothing, server.address, connections) as future:
            time.sleep(1.0)
            return newcomer(server.address, model), future.result().value

    found = beside(server, attack, model=model)
    waited, closed = found.value
    return Silent(connections, closed, waited, found.left, found.good)


def say_nothing(address: str, connections: int) -> Closed:
    """Open connections, and wait until the server has closed them."""
    host, _, port = address.rpartition(":")
    lasted: list[float] = []
    limit = time.monotonic() + _PATIENCE
    with selectors.DefaultSelector() as selector:
        for number in range(connections):
            sock = socket.create_connection((host, int(port)), _PATIENCE)
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_READ, _Silence(drips=number % 2 == 1, since=time.monotonic()))
        while selector.get_map() and time.monotonic() < limit:
            lasted += _closed(selector, _DRIP)
            _drip(selector)
        at_once = sum(seconds < 1 for seconds in lasted)
        return Closed(at_once, len(lasted) - at_once, connections - len(lasted), max(lasted))


@dataclass
class _Silence:
    """One connection."""

    drips: bool
    since: float
    said: int = 0


def _closed(selector: selectors.BaseSelector, seconds: float) -> Iterator[float]:
    """Watch for so long: how long each connection lasted that was closed meanwhile."""
    end = time.monotonic() + seconds
    while selector.get_map() and (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            sock = cast("socket.socket", key.fileobj)
            if _over(sock):
                selector.unregister(sock)
                sock.close()
                yield time.monotonic() - key.data.since


def _over(sock: socket.socket) -> bool:
    try:
        return not sock.recv(4096)  # a server says what it can do, to whomever
    except OSError:
        return True


def _drip(selector: selectors.BaseSelector) -> None:
    for key in selector.get_map().values():
        if key.data.drips:
            with suppress(OSError):  # it is about to be closed
                cast("socket.socket", key.fileobj).send(_PREFACE[key.data.said : key.data.said + 1])
            key.data.said += 1


def newcomer(address: str, model: str) -> float:
    """A client that comes now, and again until it is served: the seconds until then."""
    began = time.monotonic()
    while time.monotonic() < began + _PATIENCE:
        with grpc.insecure_channel(address, PLAIN) as channel, suppress(grpc.RpcError):
            asking(channel)(asked.text(1, model), timeout=1.0)
            break
        time.sleep(0.1)
    return time.monotonic() - began
