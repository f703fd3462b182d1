"""Clients of a soak: requests of all kinds at random moments, some spoilt, each judged when it has ended."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import grpc
from benchmarks.abuse import asked
from benchmarks.abuse.doomed import nursery
from benchmarks.soak import faults
from benchmarks.soak.checks import check_one
from benchmarks.soak.frames import FrameRecorder
from benchmarks.soak.history import Record, References
from benchmarks.soak.kinds import Kind, kinds
from benchmarks.soak.recorder import Recorder

CONNECTIONS = 4
THREADS = 64  # requests that are read frame by frame, or killed, at a time
DOOMED_TOKENS = 8_000  # of a stream whose client is killed
OWN = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))


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
    seconds: float
    spoilt: float
    """The share of requests that something is wrong with."""
    stall: float
    """Seconds that the server allows a reader to leave a message untaken."""
    stop: Path
    """A file: when it is there, no more requests are begun."""
    references: References
    alone: Mapping[str, float]
    """Seconds that a request of a kind takes on an idle server."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that has ended, in short."""

    kind: str
    fault: str
    outcome: str
    seconds: float
    began: float
    frames: bool = False
    """Whether it was read frame by frame."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the clients saw."""

    ended: tuple[Ended, ...]
    offences: tuple[str, ...]


def load(order: Order) -> Told:
    """Ask until the time is over; every request comes to its end. Runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started us: he writes the file
    return asyncio.run(Clients(order).run())


class Clients:
    """Who asks."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._dice = Random(order.seed)
        self._kinds = kinds(order.models)
        self._by_frames = FrameRecorder(order.address)
        self._ended: list[Ended] = []
        self._offences: list[str] = []

    async def run(self) -> Told:
        """Ask for as long as is ordered, and wait for the answers."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        channels = [grpc.aio.insecure_channel(self._order.address, OWN) for _ in range(CONNECTIONS)]
        recorders = [Recorder(channel) for channel in channels]
        try:
            async with asyncio.TaskGroup() as group:
                await self._ask(group, recorders)
        finally:
            await asyncio.gather(*(channel.close() for channel in channels))
        return Told(tuple(self._ended), tuple(self._offences))

    async def _ask(self, group: asyncio.TaskGroup, recorders: Sequence[Recorder]) -> None:
        end, due = time.monotonic() + self._order.seconds, time.monotonic()
        while not self._order.stop.exists() and time.monotonic() < end:
            fault = faults.draw(self._dice, self._order.spoilt)
            able = [kind for kind in self._kinds if faults.befalls(fault, kind)]
            kind = self._dice.choices(able, [kind.weight for kind in able])[0]
            group.create_task(
                self._one(self._dice.choice(recorders), kind, self._dice.randrange(self._order.seeds), fault)
            )
            due += self._dice.expovariate(self._order.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _one(self, recorder: Recorder, kind: Kind, seed: int, fault: str) -> None:
        if fault == faults.KILLED:
            await self._kill()
            return
        if fault == faults.WATCH:
            kind = faults.WATCHING
        times = faults.Times(
            self._order.alone.get(kind.name, 0.1), self._order.stall, min(faults.LONGEST, self._order.seconds)
        )
        wish = faults.asked(fault, kind, seed, times, self._dice)
        if wish.frames:
            record = await self._by_frames.ask(kind, seed, wish)
        elif fault == faults.CHURN:
            async with grpc.aio.insecure_channel(self._order.address, OWN) as channel:
                record = await recorder.ask(kind, seed, wish, channel)
        else:
            record = await recorder.ask(kind, seed, wish)
        self._note(record, fault, wish.frames)

    async def _kill(self) -> None:
        began = time.monotonic()
        model = next(kind.model for kind in self._kinds if kind.streams and kind.lanes)
        begun = await asyncio.to_thread(_killed_in_mid_stream, self._order.address, model)
        if not begun:
            self._offences.append(f"{faults.KILLED}: its stream never began")
        self._ended.append(Ended(faults.KILLED, faults.KILLED, "KILLED", time.monotonic() - began, began))

    def _note(self, record: Record, fault: str, frames: bool) -> None:
        self._offences += [f"{record.question.kind}, {fault or 'plain'}: {offence}" for offence in self._judge(record)]
        end = record.endings[0].at if record.endings else time.monotonic()
        self._ended.append(
            Ended(record.question.kind, fault, record.outcome or "hung", end - record.started, record.started, frames)
        )

    def _judge(self, record: Record) -> Sequence[str]:
        return [str(offence) for offence in check_one(record, self._order.references)]


def _killed_in_mid_stream(address: str, model: str) -> bool:
    """Start a client, and kill it when it reads: whether it was given anything to read."""
    with nursery(address, asked.text_stream(DOOMED_TOKENS, model)) as clients:
        client = clients.begin()
        if client is not None:
            os.kill(client, signal.SIGKILL)
    return client is not None
