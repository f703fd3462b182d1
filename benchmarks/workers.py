"""What a second worker adds: the rate of two processes on two cores beside that of one on one core.

Clients take cores too, and so does whatever else runs. So the rate that counts is

    adjusted rate = items / (CPU seconds of the server + idle seconds of the cores that it may use) x workers

since those seconds are all that clients and others left to the server; what it left idle counts against it. One worker
is pinned to core 0 and its client to core 1; two workers and their client share both. 128 requests are under way at a
time on 32 connections, so that two workers can fill their batches as one can. The gain is the adjusted rate of two over
that of one, in each round. Items over wall time (the raw rate) stand beside it.
"""

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvloop
from benchmarks.cases import Case
from benchmarks.cost import children, cpu_seconds, processor
from benchmarks.report import Sheet
from benchmarks.requests import send
from benchmarks.served import EVERYBODY
from benchmarks.spread import spread
from deploy.local_server import LocalServer, running_server

LOADS = (
    Case("text", "text", "shakespeare-rnn", requests=128, items=64),
    Case("images", "images", "faces-vae", requests=128, items=1),
    Case("small images", "images", "digits-gan", requests=128, items=1),
)
WORKERS = (1, 2)
CONNECTIONS = 32
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    models: Path
    out: Path
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Taken:
    """A load for some time: seconds of wall time, of the server's and the client's CPU, of its cores' idleness."""

    workers: int
    items: int
    wall: float
    server: float
    client: float
    idle: float

    @property
    def raw(self) -> float:
        """Items a second of wall time."""
        return self.items / self.wall

    @property
    def adjusted(self) -> float:
        """Items a second, had the server had a core for each worker."""
        return self.items / (self.server + self.idle) * self.workers


async def measure(server: LocalServer, workers: int, case: Case, seconds: float, cores: set[int]) -> Taken:
    """Send the case's requests again and again, each anew as soon as it is answered, for so many seconds."""
    processes = [server.process_id, *children(server.process_id)]
    async with _channels(server.address) as channels:
        await _repeat(channels, case, seconds / 4)
        before = time.perf_counter(), sum(map(cpu_seconds, processes)), time.process_time(), idle_seconds(cores)
        requests = await _repeat(channels, case, seconds)
        after = time.perf_counter(), sum(map(cpu_seconds, processes)), time.process_time(), idle_seconds(cores)
    return Taken(workers, requests * case.items, *(late - early for early, late in zip(before, after, strict=True)))


def idle_seconds(cores: set[int]) -> float:
    """Seconds that these cores have had nothing to do since the machine's start."""
    lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    return sum(int(line[4]) + int(line[5]) for line in lines if line[0] in {f"cpu{core}" for core in cores}) / _TICK


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the tables as Markdown."""
    options = _read_options(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        servers = {workers: stack.enter_context(_running(options, workers)) for workers in WORKERS}
        rounds = [_round(servers, options.seconds) for _ in range(options.rounds)]
    title = f"{options.rounds} rounds, {processor()}, load {os.getloadavg()[0]:.1f} at the end: median (quartiles)"
    head = ("load", "workers", "items/s", "adjusted items/s", "server CPU µs/item", "client CPU µs/item", "gain")
    lines = tuple(_line(rounds, case, workers) for case in LOADS for workers in WORKERS)
    print(Sheet(title, head, lines).markdown())


Round = dict[tuple[str, int], Taken]


def _round(servers: dict[int, LocalServer], seconds: float) -> Round:
    taken: Round = {}
    for case in LOADS:
        for workers, server in servers.items():
            cores = {0} if workers == 1 else {0, 1}
            os.sched_setaffinity(0, {1} if workers == 1 else {0, 1})
            taken[case.name, workers] = uvloop.run(measure(server, workers, case, seconds, cores))
    return taken


def _line(rounds: Sequence[Round], case: Case, workers: int) -> tuple[str, ...]:
    taken = [each[case.name, workers] for each in rounds]
    gains = [each[case.name, workers].adjusted / each[case.name, 1].adjusted for each in rounds]
    columns = (
        [each.raw for each in taken],
        [each.adjusted for each in taken],
        [each.server / each.items * 1e6 for each in taken],
        [each.client / each.items * 1e6 for each in taken],
        gains,
    )
    return case.name, str(workers), *(str(spread(values)) for values in columns)


@contextmanager
def _running(options: Options, workers: int) -> Iterator[LocalServer]:
    flags = ("--provider=cpu", "--threads=1", f"--workers={workers}", *EVERYBODY)
    with running_server(options.models, options.out / f"bench-workers-{workers}.log", *flags) as server:
        if workers == 1:
            for task in Path(f"/proc/{server.process_id}/task").iterdir():
                os.sched_setaffinity(int(task.name), {0})
        yield server


@asynccontextmanager
async def _channels(address: str) -> AsyncIterator[Sequence["grpc.aio.Channel"]]:
    own = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=own) for _ in range(CONNECTIONS)]
    try:
        yield channels
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def _repeat(channels: Sequence["grpc.aio.Channel"], case: Case, seconds: float) -> int:
    """How many requests were answered; those that are under way at the end are waited for, and counted."""
    end = time.perf_counter() + seconds

    async def one(number: int) -> int:
        done = 0
        while time.perf_counter() < end:
            await send(channels[number % len(channels)], case, 1 + done, number)
            done += 1
        return done

    return sum(await asyncio.gather(*(one(number) for number in range(case.requests))))


def _read_options(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description="Measures what a second worker adds, on two cores.")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of bundles (default: models)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the servers' logs (default: out)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds (default: 15)")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of each measurement (default: 4)")
    return Options(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    main()
