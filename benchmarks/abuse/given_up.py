"""Readers that stand still until the server has had enough of them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.abuse.hold import holding
from benchmarks.abuse.leftover import Leftover, leftover
from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.abuse.standing import GIVEN_UP, PATIENCE, READERS, count, hold_streams, wait
from benchmarks.abuse.victim import PICTURES, Victim, victim

STALL = 3.0  # seconds that a reader may take for a message
SLACK = 2.0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """When the server had enough."""

    readers: int
    given_up: int
    slots: int
    """That their jobs hold then."""
    free_after: float
    """Seconds from when the last one had begun to stand still."""
    left: Leftover

    def promises(self) -> Iterator[Promise]:
        """Their work is given up in time."""
        yield told("readers that stand still", self.readers)
        yield exactly("of them given up", self.given_up, self.readers)
        yield at_most("the last is given up after", self.free_after, STALL + SLACK, "s")
        yield exactly("slots that they hold then", self.slots, 0)
        yield from self.left.promises()


def run(scale: float) -> GivenUp:
    """Try its patience."""
    with victim(f"--stall-timeout={STALL:g}") as server:
        return give_up(server, max(2, round(READERS * scale)))


def give_up(server: Victim, readers: int, model: str = PICTURES) -> GivenUp:
    """Have so many readers stand still before a server that waits `STALL` seconds for them."""
    with holding(hold_streams, server.address, 1, model):
        pass  # warms up
    before = server.patient.until(lambda vitals: vitals.idle, PATIENCE)
    known = count(server, GIVEN_UP)
    with holding(hold_streams, server.address, readers, model):
        began = time.monotonic()
        given_up = wait(server, GIVEN_UP, known + readers, PATIENCE) - known
        free_after = time.monotonic() - began
        slots = server.patient.look().slots
    return GivenUp(readers, given_up, slots, free_after, leftover(server.patient, before))
