"""Rounds: every case in every way, one after the other, so that a slow minute of the machine is slow for all."""

import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import served
from benchmarks.alone import Alone
from benchmarks.cases import Case, Figure, Measurement, Way
from benchmarks.plan import PROMPTED, Task
from benchmarks.servers import Servers

_MORE_SEED = 10_000

Measure = Callable[[Case, int], Awaitable[Measurement]]
"""Takes a case with a seed."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave."""

    measurements: tuple[Measurement, ...]
    figures: tuple[Figure, ...] = ()

    def of(self, case: str, way: Way) -> Measurement:
        """One measurement; LookupError where it was not taken."""
        for one in self.measurements:
            if (one.case, one.way) == (case, way):
                return one
        raise LookupError(f"{case} was not measured {way}")

    def figure(self, name: str) -> float:
        """One figure; LookupError where it was not taken."""
        for one in self.figures:
            if one.name == name:
                return one.value
        raise LookupError(f"{name} was not measured")


class Rounds:
    """Takes rounds of a plan; `tell` hears what is under way."""

    def __init__(
        self,
        plan: Sequence[Task],
        servers: Servers,
        rivals: Mapping[Way, Measure],
        alone: Alone,
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._servers = servers
        self._rivals = rivals
        self._alone = alone
        self._tell = tell

    async def take(self, number: int) -> tuple[Measurement, ...]:
        """Everything once; the ways of a case stand in another order in each round."""
        taken: list[Measurement] = []
        for task in self._plan:
            turn = number % len(task.ways)
            for way in (*task.ways[turn:], *task.ways[:turn]):
                self._tell(f"round {number}: {task.case.name}, {way}")
                gc.collect()
                taken.append(await self._measure(task.case, way, (number + 1) * _MORE_SEED, taken))
        return tuple(taken)

    async def _measure(self, case: Case, way: Way, seed: int, taken: Sequence[Measurement]) -> Measurement:
        if way in self._rivals:
            return await self._rivals[way](case, seed)
        server = self._servers.of(case, way)
        if server is None:
            return self._alone.measure(case, way, seed)
        if not case.load:
            return await served.measure(server, case, way, seed)
        full = Round(tuple(taken)).of(PROMPTED.name, way)
        rate = case.load * PROMPTED.requests / full.wall_seconds
        return await served.measure_arrivals(server, case, way, seed, rate)
