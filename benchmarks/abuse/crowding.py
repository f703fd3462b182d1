"""More connections that speak HTTP/2 than a server may have (D6): those that are there keep theirs."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.abuse.beside import beside
from benchmarks.abuse.good import Served
from benchmarks.abuse.hold import Hold, holding
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise, at_least, at_most, told
from benchmarks.abuse.silent import newcomer
from benchmarks.abuse.victim import TEXT, Victim, victim
from benchmarks.abuse.wire import Wire
from h2.events import RemoteSettingsChanged

CONNECTIONS, MOST = 2_000, 1_000
LASTS = 3.0  # seconds
SPARE = 20  # connections of the cap that others may have had
_SOON = 5.0  # seconds in which a new client is served once the others have gone


@dataclass(frozen=True, slots=True)
class Crowding:
    """What became of connections beyond the cap."""

    connections: int
    most: int
    held: int
    """Connections that were served."""
    newcomer_seconds: float
    """Until a new client was served, from when they had gone."""
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """The cap holds, who is connected does not notice, and who is not is served afterwards."""
        yield told("connections that say hello", self.connections)
        yield at_most("of them served, beside a good client", self.held, self.most - 1)
        yield at_least("of them served, though there are too many", self.held, self.most - SPARE)
        yield at_most("a new client is served after they have gone", self.newcomer_seconds, _SOON, "s")
        yield from self.left.promises()
        yield from self.good.promises()


def run(scale: float) -> Crowding:
    """Crowd."""
    most = max(50, round(MOST * scale))
    with victim(f"--max-connections={most}") as server:
        return crowd(server, max(100, round(CONNECTIONS * scale)), most, LASTS)


def crowd(server: Victim, connections: int, most: int, seconds: float, model: str = TEXT) -> Crowding:
    """Open so many connections to a server that may have `most`, and hold them for so long."""

    def attack() -> tuple[int, float]:
        with holding(hold_connections, server.address, connections) as held:
            time.sleep(seconds)
        return held.news, newcomer(server.address, model)

    found = beside(server, attack, model=model)
    held, waited = found.value
    return Crowding(connections, most, held, waited, found.left, found.good)


def hold_connections(hold: Hold, address: str, count: int) -> None:
    """Say hello on so many connections, and hold those that were answered."""
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(address)) for _ in range(count)]
        hold.held(sum(_answered(wire) for wire in wires))


def _answered(wire: Wire) -> bool:
    """Whether the server says hello, too, rather than close the connection."""
    return wire.until(lambda event: isinstance(event, RemoteSettingsChanged)) is not None
