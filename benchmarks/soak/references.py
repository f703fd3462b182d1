"""What an idle server answers, request by request, and what each costs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import grpc
from benchmarks.cost import cpu_seconds
from benchmarks.soak.checks import check
from benchmarks.soak.history import Record, References, reference
from benchmarks.soak.kinds import Kind
from benchmarks.soak.recorder import Recorder

Costs = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Known:
    """The truth about every question, and what a request of the mix takes by itself."""

    references: References
    alone: Mapping[str, float]
    """Seconds from sending to the end, by kind."""
    cpu_seconds: float
    """Of server and client together for a request, on the average of the mix."""


async def learn(address: str, pid: int, kinds: Sequence[Kind], seeds: Sequence[int]) -> Known:
    """Ask an idle server everything, one request at a time, twice. Raises ValueError where it disagrees with itself."""
    costs: Costs = lambda: time.process_time() + cpu_seconds(pid)  # noqa: E731
    records: list[Record] = []
    spent: dict[str, float] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        recorder = Recorder(channel)
        for kind in kinds:
            for _ in range(2):  # the first time costs what no later one does
                before = costs()
                records += [await recorder.ask(kind, seed) for seed in seeds]
                spent[kind.name] = (costs() - before) / len(seeds)
    if offences := check(records):
        raise ValueError(f"an idle server breaks promises: {offences[0]}")
    known = {record.question: reference(record) for record in records}
    return Known(known, _alone(records), fmean([spent[kind.name] for kind in kinds], [kind.weight for kind in kinds]))


def _alone(records: Sequence[Record]) -> Mapping[str, float]:
    taken: dict[str, list[float]] = {}
    for record in records:
        taken.setdefault(record.question.kind, []).append(record.endings[0].at - record.started)
    return {kind: median(times) for kind, times in taken.items()}
