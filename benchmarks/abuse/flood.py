"""A flood of frames beside a good client."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.abuse.attacks import Sent
from benchmarks.abuse.beside import beside
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise
from benchmarks.abuse.victim import TEXT, Victim, victim

Attack = Callable[[str, int], Sent]


@dataclass(frozen=True, slots=True)
class Flooded:
    """What a flood did."""

    sent: int
    connections: int
    endings: str
    attacker_cpu_seconds: float
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """Nobody else notices."""
        yield Promise(f"{self.sent:,} sent, of which the server ended", self.endings, "", held=True)
        yield from self.left.promises()
        yield from self.good.promises()


def scenario(attack: Attack, count: int) -> Callable[[float], Flooded]:
    """A flood of so many frames, requests or messages."""
    return partial(_run, attack, count)


def _run(attack: Attack, count: int, scale: float) -> Flooded:
    with victim() as server:
        return flood(server, attack, max(1, round(count * scale)))


def flood(server: Victim, attack: Attack, count: int, model: str = TEXT) -> Flooded:
    """Flood a server, which has had a tenth of the flood before."""
    found = beside(
        server,
        attack=lambda: elsewhere(attack, server.address, count),
        warm_up=lambda: elsewhere(attack, server.address, max(1, count // 10)),
        model=model,
    )
    done = found.value
    sent = done.value
    return Flooded(sent.count, sent.connections, sent.told(), done.cpu_seconds, found.left, found.good)
