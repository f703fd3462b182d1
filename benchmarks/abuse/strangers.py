"""Strangers at the port, one after another, beside a good client."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.abuse.beside import beside
from benchmarks.abuse.cases import CASES, NOTHING, REFUSED, Case, request
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise
from benchmarks.abuse.raw import Raw
from benchmarks.abuse.victim import TEXT, Victim, victim

ROUNDS = 20
_LATER = 201  # a stream behind all of a case
_SILENCE = 0.3  # seconds after which nothing is taken to come
_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Strangers:
    """What became of strangers."""

    cases: int
    rounds: int
    otherwise: tuple[str, ...]
    """Those that ended otherwise than they should."""
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """Each is sent away as it should be."""
        text = f"of {self.cases} kinds of broken frames and requests, {self.rounds} times each, ended otherwise"
        yield Promise(text, "; ".join(self.otherwise) or "0", "= 0", not self.otherwise)
        yield from self.left.promises()
        yield from self.good.promises()


def run(scale: float) -> Strangers:
    """Be strange."""
    with victim() as server:
        return visit(server, max(1, round(ROUNDS * scale)))


def visit(server: Victim, rounds: int, model: str = TEXT) -> Strangers:
    """Send every case to a server, again and again."""
    found = beside(
        server,
        attack=lambda: elsewhere(send_all, server.address, rounds),
        warm_up=lambda: elsewhere(send_all, server.address, 1),
        model=model,
    )
    return Strangers(len(CASES), rounds, tuple(found.value.value), found.left, found.good)


def send_all(address: str, rounds: int) -> Sequence[str]:
    """Send every case so often: those that ended otherwise than they should."""
    told = []
    for case in CASES * rounds:
        end, serves_on = outcome(address, case)
        if (end, serves_on) != (case.end, case.serves_on):
            told.append(f"{case.name}: {end}, serves on: {serves_on}")
    return told


def outcome(address: str, case: Case) -> tuple[str, bool]:
    """How a case ended, and whether its connection is still served."""
    with Raw(address, case.sent) as raw:
        end = raw.ending(_SILENCE if case.end == NOTHING else _PATIENCE)
        if raw.ended or raw.told:
            return end, False
        raw.send(request(_LATER))
        limit = time.monotonic() + _PATIENCE
        while (later := raw.ending(_PATIENCE)) not in (REFUSED, "closed") and time.monotonic() < limit:
            pass
        return end, later == REFUSED
