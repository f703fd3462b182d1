"""Streams that are cancelled at random moments, tens of thousands of them."""

import heapq
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.abuse import asked
from benchmarks.abuse.beside import beside
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served
from benchmarks.abuse.leftover import PATIENCE, Leftover
from benchmarks.abuse.promise import Promise, exactly, told
from benchmarks.abuse.victim import PICTURES, TEXT, Victim, victim
from benchmarks.abuse.wire import PICTURE_STREAM, TEXT_STREAM, Wire

STREAMS = 20_000
WARM_UP = 5_000  # before the baseline: pools and caches of gRPC and of the allocator have their size by then
AT_ONCE = 60
LONGEST = 0.1  # seconds until a stream is cancelled


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What twenty thousand cancelled streams did."""

    streams: int
    cancelled: int
    """Of them under way when that came."""
    per_second: float
    attacker_cpu_seconds: float
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """Nothing leaks, and nobody notices."""
        yield told("streams cancelled", self.cancelled)
        yield exactly("streams that had ended before", self.streams - self.cancelled, 0)
        yield from self.left.promises(most_mb=5.0)
        yield from self.good.promises()


def run(scale: float) -> Cancelled:
    """Cancel them."""
    with victim() as server:
        return cancel(server, WARM_UP, round(STREAMS * scale))


def cancel(
    server: Victim,
    warm_up: int,
    streams: int,
    model: str = TEXT,
    pictures: str = PICTURES,
    patience: float = PATIENCE,
) -> Cancelled:
    """Cancel so many streams of a server that was warmed up with others before it was looked at."""
    kinds = (TEXT_STREAM, asked.text_stream(model=model)), (PICTURE_STREAM, asked.picture_stream(10_000, pictures))
    found = beside(
        server,
        attack=lambda: elsewhere(cancel_streams, server.address, kinds, streams, 2),
        warm_up=lambda: elsewhere(cancel_streams, server.address, kinds, warm_up, 1),
        model=model,
        patience=patience,
    )
    done = found.value
    seconds, cancelled = done.value
    return Cancelled(streams, cancelled, streams / seconds, done.cpu_seconds, found.left, found.good)


def cancel_streams(address: str, kinds: Sequence[tuple[str, bytes]], count: int, seed: int) -> tuple[float, int]:
    """Begin streams of these kinds in turn, and cancel each at a moment that chance chooses: the seconds it took, and
    how many were under way when they were cancelled.
    """
    dice = random.Random(seed)
    due: list[tuple[float, int]] = []
    began = time.monotonic()
    begun = cancelled = 0
    with Wire(address) as wire:
        while begun < count or due:
            while begun < count and len(due) < AT_ONCE:
                stream = wire.ask(*kinds[begun % len(kinds)])
                heapq.heappush(due, (time.monotonic() + dice.uniform(0, LONGEST), stream))
                begun += 1
            wire.flush()
            wire.receive(max(0.0, due[0][0] - time.monotonic()))
            while due and due[0][0] <= time.monotonic():
                cancelled += wire.reset(heapq.heappop(due)[1])
            wire.flush()
    return time.monotonic() - began, cancelled
