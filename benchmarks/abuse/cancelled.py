"""Streams that are cancelled at random moments, tens of thousands of them."""

import heapq
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.abuse import asked
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served, good_client
from benchmarks.abuse.leftover import Leftover, leftover
from benchmarks.abuse.promise import Promise, told
from benchmarks.abuse.victim import TEXT, Victim, victim
from benchmarks.abuse.wire import PICTURE_STREAM, TEXT_STREAM, Wire
from benchmarks.vitals import Vitals

STREAMS = 20_000
WARM_UP = 5_000  # before the baseline: pools and caches of gRPC and of the allocator have their size by then
AT_ONCE = 60
LONGEST = 0.1  # seconds until a stream is cancelled


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What twenty thousand cancelled streams did."""

    streams: int
    per_second: float
    left: Leftover
    good: Served
    attacker_cpu_seconds: float

    def promises(self) -> Iterator[Promise]:
        """Nothing leaks, and nobody notices."""
        yield told("streams cancelled", self.streams)
        yield from self.left.promises(most_mb=5.0)
        yield from self.good.promises()


def run(scale: float) -> Cancelled:
    """Cancel them."""
    with victim() as server:
        return cancel(server, round(WARM_UP * scale), round(STREAMS * scale))


def cancel(server: Victim, warm_up: int, streams: int, model: str = TEXT) -> Cancelled:
    """Cancel so many streams of a server that was warmed up with others before it was looked at."""
    with good_client(server.address, model):
        elsewhere(cancel_streams, server.address, warm_up, 1)
    before = server.patient.until(_idle, 30.0)
    with good_client(server.address, model) as good:
        done = elsewhere(cancel_streams, server.address, streams, 2)
    left = leftover(server.patient, before)
    return Cancelled(streams, streams / done.value, left, good.served(), done.cpu_seconds)


def cancel_streams(address: str, count: int, seed: int) -> float:
    """Begin streams of text and of pictures, and cancel each at a moment that chance chooses: the seconds it took."""
    dice = random.Random(seed)
    kinds = ((TEXT_STREAM, asked.text_stream()), (PICTURE_STREAM, asked.picture_stream(10_000)))
    due: list[tuple[float, int]] = []
    began = time.monotonic()
    begun = 0
    with Wire(address) as wire:
        while begun < count or due:
            while begun < count and len(due) < AT_ONCE:
                stream = wire.ask(*kinds[begun % 2])
                heapq.heappush(due, (time.monotonic() + dice.uniform(0, LONGEST), stream))
                begun += 1
            wire.flush()
            wire.receive(max(0.0, due[0][0] - time.monotonic()))
            while due and due[0][0] <= time.monotonic():
                wire.reset(heapq.heappop(due)[1])
            wire.flush()
    return time.monotonic() - began


def _idle(vitals: Vitals) -> bool:
    return vitals.idle
