"""Streams that are open and say nothing, thousands of them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.abuse.beside import beside
from benchmarks.abuse.good import Served
from benchmarks.abuse.hold import Hold, holding
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise, at_least, told
from benchmarks.abuse.victim import TEXT, Victim, victim
from benchmarks.abuse.wire import TEXT_UNARY, WATCH, Wire
from benchmarks.vitals import Vitals
from h2.events import DataReceived, Event

STREAMS = 10_000
EACH = 100  # streams of a connection, the server's cap
WATCHES = 1000  # a server refuses more than 1,024
LASTS = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Idle:
    """What idle streams cost."""

    streams: int
    begun: int
    """Streams that the server did not refuse."""
    kib_each: float
    tasks: int
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """All are served; nobody notices; all is given back but memory."""
        yield at_least("idle streams served", self.begun, self.streams)
        yield told("memory of an idle stream", self.kib_each, "KiB")
        yield told("tasks of them all", self.tasks)
        yield from self.left.promises()
        yield from self.good.promises()


def run(scale: float) -> Idle:
    """Hold idle streams."""
    with victim() as server:
        return idle(server, round(STREAMS * scale), LASTS * min(1.0, scale))


def idle(server: Victim, streams: int, seconds: float, model: str = TEXT) -> Idle:
    """Hold so many streams for so long beside a good client."""
    before = server.patient.look()

    def attack() -> tuple[int, Vitals]:
        with holding(hold_streams, server.address, streams) as held:
            time.sleep(seconds)
            return held.news, server.patient.look()

    found = beside(server, attack, model=model)
    begun, during = found.value
    kib = (during.memory - before.memory) / 1024 / streams
    return Idle(streams, begun, kib, during.tasks - before.tasks, found.left, found.good)


def hold_streams(hold: Hold, address: str, streams: int) -> None:
    """Open streams, as many as a connection may have on each, and hold them: requests whose message does not come, and
    as many watches of health, but no more than a server takes.
    """
    wires = []
    begun = 0
    for first in range(0, streams, EACH):
        wire = Wire(address)
        count = min(EACH, streams - first)
        watching = count // 2 if first < 2 * WATCHES else 0
        watches = [wire.ask(WATCH, b"") for _ in range(watching)]
        silent = [wire.head(TEXT_UNARY) for _ in range(count - watching)]
        wire.flush()
        if watches:
            _read_until_answered(wire, set(watches))
        begun += sum(wire.open(stream) for stream in (*watches, *silent))
        wires.append(wire)
    hold.held(begun)
    for wire in wires:
        wire.close()


def _read_until_answered(wire: Wire, streams: set[int]) -> None:
    """Read until all these streams have their first message."""

    def answers_the_last(event: Event) -> bool:
        if isinstance(event, DataReceived):
            streams.discard(event.stream_id)
        return not streams

    wire.until(answers_the_last)
