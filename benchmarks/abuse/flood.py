"""A flood of frames beside a good client."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.abuse.attacks import Sent
from benchmarks.abuse.beside import beside
from benchmarks.abuse.cases import CLOSED
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise
from benchmarks.abuse.victim import TEXT, Victim, victim

Attack = Callable[[str, int], Sent]


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to become of what is sent."""

    end: str = ""
    """How the server puts an end to it; it may also just close the connection. None: it bears it."""
    each: bool = False
    """Whether it ends all that is sent, each by itself, rather than a connection now and then."""
    sure: bool = True
    """Whether there is such an end at all; it may also bear what it has never told the limits of."""
    most_mb: float | None = None
    """Memory that it may take meanwhile."""
    retries: bool = False
    """Whether the client beside it has our library's retry policy: gRPC's core cancels some of a crowd of calls."""

    def told(self) -> str:
        """In words."""
        if not self.end:
            return "nothing"
        return f"{'all' if self.each else 'only'} {self.end}{'' if self.sure else ', or nothing'}"

    def met(self, sent: int, endings: Mapping[str, int]) -> bool:
        """Whether that is what became of it."""
        if not self.end:
            return not endings
        if self.each:
            return endings == {self.end: sent}
        return (self.end in endings or not self.sure) and set(endings) <= {self.end, CLOSED}


BORNE = Fate()


@dataclass(frozen=True, slots=True)
class Flooded:
    """What a flood did."""

    fate: Fate
    sent: int
    connections: int
    endings: tuple[tuple[str, int], ...]
    """How often the server put an end to something, in which way."""
    attacker_cpu_seconds: float
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """It is ended as it should be, and nobody else notices."""
        value = ", ".join(f"{count} × {words}" for words, count in self.endings) or "nothing"
        met = self.fate.met(self.sent, dict(self.endings))
        yield Promise(f"{self.sent:,} sent, of which the server ended", value, self.fate.told(), met)
        yield from self.left.promises(most_peak_mb=self.fate.most_mb)
        yield from self.good.promises()


def scenario(attack: Attack, count: int, fate: Fate = BORNE) -> Callable[[float], Flooded]:
    """A flood of so many frames, requests or messages."""
    return partial(_run, attack, count, fate)


def _run(attack: Attack, count: int, fate: Fate, scale: float) -> Flooded:
    with victim("--queue-wait=10") as server:  # want of room is another scenario
        return flood(server, attack, max(1, round(count * scale)), fate)


def flood(server: Victim, attack: Attack, count: int, fate: Fate = BORNE, model: str = TEXT) -> Flooded:
    """Flood a server, which has had a tenth of the flood before."""
    found = beside(
        server,
        attack=lambda: elsewhere(attack, server.address, count),
        warm_up=lambda: elsewhere(attack, server.address, max(1, count // 10)),
        model=model,
        retries=fate.retries,
    )
    sent = found.value.value
    return Flooded(
        fate=fate,
        sent=sent.count,
        connections=sent.connections,
        endings=tuple((words, times) for words, times in sent.endings.most_common() if times),
        attacker_cpu_seconds=found.value.cpu_seconds,
        left=found.left,
        good=found.good,
    )
