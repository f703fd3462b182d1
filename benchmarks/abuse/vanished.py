"""Clients that vanish in mid-stream, killed or frozen, and how long their slot is held for them.

The server has a single slot, which the client holds; somebody waits for it. When that one has its answer, the slot was
free, so what is measured is never too little.
"""

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import grpc
from benchmarks.abuse import asked
from benchmarks.abuse.doomed import Nursery, nursery
from benchmarks.abuse.good import PLAIN, asking
from benchmarks.abuse.leftover import Leftover, leftover
from benchmarks.abuse.promise import Promise, at_most, told
from benchmarks.abuse.victim import TEXT, Victim, victim

KILLED, FROZEN = 200, 4
RUN_BUDGET_MS = 50.0  # the server's own default
LIMIT_SECONDS = 5.0  # keepalive and its timeout, and a second
_LONG = 1_000_000  # tokens
_WAITS = (0.02, 0.06)  # seconds that the next one has been waiting when the client vanishes
_PATIENCE = 60.0
_DEADLINE = 3600.0  # of the one that waits: with less the server refuses to wait for the end of so many tokens
ONE_SLOT = (
    "--slots=1",
    "--queue=8",
    "--long-after=0",
    f"--queue-wait={_DEADLINE:g}",
    f"--maximum-deadline={_DEADLINE:g}",
    f"--max-tokens={_LONG}",
)
_PINGED = ("--keepalive-time=2", "--keepalive-timeout=2")


@dataclass(frozen=True, slots=True)
class Killed:
    """Milliseconds from each SIGKILL to the answer of the one that waited for the slot."""

    milliseconds: tuple[float, ...]
    left: Leftover

    def promises(self) -> Iterator[Promise]:
        """A run under way is finished, and no more."""
        yield told("clients killed", len(self.milliseconds))
        yield at_most("slot free after a kill, median", median(self.milliseconds), RUN_BUDGET_MS, "ms")
        yield at_most("slot free after a kill, longest", max(self.milliseconds), 2 * RUN_BUDGET_MS, "ms")
        yield from self.left.promises()


@dataclass(frozen=True, slots=True)
class Frozen:
    """Seconds from each SIGSTOP to the answer of the one that waited for the slot."""

    seconds: tuple[float, ...]
    left: Leftover

    def promises(self) -> Iterator[Promise]:
        """Pings tell that nobody is there."""
        text = "slot free after a freeze (pings every 2 s, 2 s to answer), longest"
        yield told("clients frozen", len(self.seconds))
        yield at_most(text, max(self.seconds), LIMIT_SECONDS, "s")
        yield from self.left.promises()


def run_killed(scale: float) -> Killed:
    """Kill clients."""
    with victim(*ONE_SLOT) as server:
        return kill(server, max(1, round(KILLED * scale)))


def run_frozen(scale: float) -> Frozen:
    """Freeze clients."""
    with victim(*ONE_SLOT, *_PINGED) as server:
        return freeze(server, max(1, round(FROZEN * scale)))


def kill(server: Victim, count: int, model: str = TEXT) -> Killed:
    """Kill so many clients of a server of one slot, one after another."""
    seconds, left = _vanish(server, signal.SIGKILL, count, model)
    return Killed(tuple(1e3 * each for each in seconds), left)


def freeze(server: Victim, count: int, model: str = TEXT) -> Frozen:
    """Freeze so many clients of a server of one slot, one after another."""
    return Frozen(*_vanish(server, signal.SIGSTOP, count, model))


def _vanish(server: Victim, how: signal.Signals, count: int, model: str) -> tuple[tuple[float, ...], Leftover]:
    dice = random.Random(count)
    with (
        grpc.insecure_channel(server.address, PLAIN) as channel,
        nursery(server.address, asked.text_stream(_LONG, model)) as clients,
    ):
        ask = asking(channel)
        ask(asked.text(1, model), timeout=_PATIENCE)
        before = server.patient.until(lambda vitals: vitals.idle, _PATIENCE)
        seconds = tuple(_round(clients, ask, asked.text(1, model), how, dice.uniform(*_WAITS)) for _ in range(count))
        return seconds, leftover(server.patient, before)


def _round(
    clients: Nursery,
    ask: "grpc.UnaryUnaryMultiCallable[bytes, bytes]",
    request: bytes,
    how: signal.Signals,
    wait: float,
) -> float:
    """Have a client vanish while another one waits: the seconds until that one was answered."""
    client = clients.begin()
    if client is None:
        raise RuntimeError("a client was refused the only slot, which is free")
    waiting = ask.future(request, timeout=_DEADLINE)
    time.sleep(wait)
    if waiting.done():
        waiting.result(timeout=_PATIENCE)
        raise RuntimeError("a second request was served beside the one that holds the only slot")
    os.kill(client, how)
    vanished = time.perf_counter()
    waiting.result(_PATIENCE)
    seconds = time.perf_counter() - vanished
    if how != signal.SIGKILL:
        os.kill(client, signal.SIGKILL)
    return seconds
