"""Too many scrapers of the metrics page, every other one so slow that it never ends its request."""

import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from benchmarks.abuse.beside import beside
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served, good_client
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise, told
from benchmarks.abuse.victim import TEXT, Victim, victim

SECONDS = 10.0
SCRAPERS, SLOW = 50, 200  # a request each a second; a byte each a second
_REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Filler: "


@dataclass(frozen=True, slots=True)
class Scraped:
    """What scrapers did."""

    asked: int
    answered: int
    quiet: Served
    """How the good client fared before."""
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """The metrics page hurts itself alone."""
        yield told(f"scrapes answered of {self.asked}, beside {SLOW} clients with a byte a second", self.answered)
        yield told("a connected client's p99 without them", self.quiet.p99_ms, "ms")
        yield from self.left.promises()
        yield from self.good.promises()


def run(scale: float) -> Scraped:
    """Scrape."""
    with victim() as server:
        return scrape(server, SECONDS * scale)


def scrape(server: Victim, seconds: float, model: str = TEXT) -> Scraped:
    """Have a server's page asked for so long."""
    with good_client(server.address, model) as quiet:
        time.sleep(seconds)
    found = beside(server, attack=lambda: elsewhere(ask, server.metrics_address, seconds), model=model)
    asked, answered = found.value.value
    return Scraped(asked, answered, quiet.served(), found.left, found.good)


def ask(address: str, seconds: float) -> tuple[int, int]:
    """Ask for the page in both ways for so long: the requests that were made, and those that were answered."""
    host, _, port = address.rpartition(":")
    asked = answered = 0
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        slow = [stack.enter_context(socket.create_connection((host, int(port)))) for _ in range(SLOW)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            for number in range(SCRAPERS):
                scraper = stack.enter_context(socket.create_connection((host, int(port))))
                scraper.send(_REQUEST + b"\r\n\r\n")
                selector.register(scraper, selectors.EVENT_READ)
                asked += 1
                _say_a_byte(slow[number::SCRAPERS], asked // SCRAPERS)
                answered += _read(selector, begun + (number + 1) / SCRAPERS)
    return asked, answered


def _say_a_byte(slow: list[socket.socket], number: int) -> None:
    for each in slow:
        with suppress(OSError):  # the server may have had enough of it
            each.send((_REQUEST + b"x" * 999)[number : number + 1])


def _read(selector: selectors.BaseSelector, until: float) -> int:
    """Read until then: the answers that came to their end."""
    ended = 0
    while (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            scraper = key.fileobj
            if isinstance(scraper, socket.socket) and not _piece(scraper):
                selector.unregister(scraper)
                scraper.close()
                ended += 1
    return ended


def _piece(scraper: socket.socket) -> bytes:
    try:
        return scraper.recv(1 << 18)
    except OSError:
        return b""
