"""Clients of a living repository: requests of all kinds by all references at random moments, each recorded."""

import asyncio
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc
from benchmarks.living.kinds import LASTING, SUFFIXES, kinds
from benchmarks.soak.frames import FrameRecorder
from benchmarks.soak.history import Record
from benchmarks.soak.kinds import Kind
from benchmarks.soak.load import CONNECTIONS, OWN, THREADS
from benchmarks.soak.recorder import Recorder, Wish

STANDS = 1.5  # seconds for which a reader stands still at most: less than any server has patience for
_FULLY_BEGUN = 5  # requests that have ended, from which all that is slow only once is over


@dataclass(frozen=True, slots=True)
class Order:
    """What the clients are told to do."""

    address: str
    models: tuple[str, ...]
    seed: int
    seeds: int
    """Seeds that a kind is asked for."""
    rate: float
    """Requests a second, at random moments: whether or not earlier ones have ended."""
    still: float
    """The share of requests that are very long streams whose readers stand still for a while."""
    begun: Path
    """A file: it is written when the first requests have ended."""
    stop: Path
    """A file: when it is there, no more requests are begun."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, by what it referred to its model."""

    reference: str
    streams: bool
    still: bool
    """Whether its reader stood still."""
    record: Record


def load(order: Order) -> Sequence[Asked]:
    """Ask until told to stop; every request comes to its end. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us: he writes the file
    return asyncio.run(_Clients(order).run())


class _Clients:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._dice = Random(order.seed)
        self._kinds = [kinds(order.models, suffix) for suffix in SUFFIXES]
        self._by_frames = FrameRecorder(order.address)
        self._asked: list[Asked] = []

    async def run(self) -> Sequence[Asked]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        channels = [grpc.aio.insecure_channel(self._order.address, OWN) for _ in range(CONNECTIONS)]
        try:
            async with asyncio.TaskGroup() as group:
                await self._ask(group, [Recorder(channel) for channel in channels])
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
        return self._asked

    async def _ask(self, group: asyncio.TaskGroup, recorders: Sequence[Recorder]) -> None:
        due = time.monotonic()
        while not self._order.stop.exists():
            still = self._dice.random() < self._order.still
            kind, seed = self._draw(still), self._dice.randrange(self._order.seeds)
            group.create_task(self._stand(kind, seed) if still else self._one(self._dice.choice(recorders), kind, seed))
            due += self._dice.expovariate(self._order.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _one(self, recorder: Recorder, kind: Kind, seed: int) -> None:
        self._note(kind, await recorder.ask(kind, seed))

    async def _stand(self, kind: Kind, seed: int) -> None:
        wish = Wish(pause=self._dice.uniform(0.0, STANDS), frames=True)
        self._note(kind, await self._by_frames.ask(kind, seed, wish), still=True)

    def _draw(self, still: bool) -> Kind:
        able = [kind for kind in self._dice.choice(self._kinds) if not still or kind.name == LASTING]
        return self._dice.choices(able, [kind.weight for kind in able])[0]

    def _note(self, kind: Kind, record: Record, still: bool = False) -> None:
        self._asked.append(Asked(kind.model, kind.streams, still, record))
        if len(self._asked) == _FULLY_BEGUN:
            self._order.begun.touch()
