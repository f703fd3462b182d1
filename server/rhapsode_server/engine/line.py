"""Jobs that share slots: who holds one, who waits for one, how soon one comes free."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from rhapsode_server.engine.forecast import Forecast
from rhapsode_server.engine.job import Job

RowT = TypeVar("RowT")
CALM = 0.125  # of the slots: where fewer are taken, and nobody waits, a crowd has gone


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What is foretold at a moment, while nothing is free: seconds a step, and when slots come free."""

    pace: float | None
    ends: list[float]
    """In steps of runs, a heap."""


class Line(Generic[RowT]):
    """Some of a model's jobs. `present` tells all that are active, those of other lines too: they share the runs."""

    def __init__(self, slots: int, forecast: Forecast, present: Callable[[], Sequence[Job[RowT]]]) -> None:
        self._slots = slots
        self._forecast = forecast
        self._present = present
        self.queue: deque[Job[RowT]] = deque()
        self.active: set[Job[RowT]] = set()
        self._seen: _Outlook | None = None
        self._thronged = False

    @property
    def room(self) -> int:
        """Jobs that may be active: as many as there are slots; in a crowd as many as keep the runs busy.

        By jobs: one of many rows may fill the runs, and must not keep the others waiting.
        """
        return max(1, min(self._slots, round(self._forecast.enough()))) if self._thronged else self._slots

    @property
    def spare(self) -> int:
        """Slots that nobody holds."""
        return max(0, self.room - len(self.active))

    @property
    def free(self) -> bool:
        """Whether a job that comes now gets a slot at once."""
        return not self.queue and self.spare > 0

    def wait(self, since: float) -> float | None:
        """Seconds that a job which comes now has to expect to wait, so many after a run began or ended.

        0 where a slot is free, or due now; None where the speed is not known.
        """
        if self.free:
            return 0.0
        seen = self._outlook
        return None if seen.pace is None else max(0.0, seen.ends[0] * seen.pace - since)

    def append(self, job: Job[RowT]) -> None:
        """Have a job wait behind all others."""
        self.queue.append(job)
        if self._seen is not None:
            runs = self._forecast.runs(job.work, self.room + self._beside)
            heapq.heapreplace(self._seen.ends, self._seen.ends[0] + runs)

    def forget(self) -> None:
        """What was foretold is out of date."""
        self._seen = None

    def throng(self) -> None:
        """Somebody finds no slot: it is a crowd, if jobs take several runs; what is done in one nobody slows."""
        if not self._thronged and any(job.work.longest > 1 for job in self.active):
            self._thronged, self._seen = True, None

    def calm(self) -> None:
        """Give all slots again, if the crowd has gone."""
        if self._thronged and not self.queue and len(self.active) < self._slots * CALM:
            self._thronged, self._seen = False, None

    @property
    def _beside(self) -> int:
        return len(self._present()) - len(self.active)

    @property
    def _outlook(self) -> _Outlook:
        """What is foretold, made anew after every change but the arrival of one who waits."""
        if self._seen is None:
            active, queued = ([job.work for job in jobs] for jobs in (self.active, self.queue))
            pace = self._forecast.pace(sum(job.work.rows for job in self._present()))
            full = len(active) >= self.room
            ends = self._forecast.ends(active, queued, self.room, self._beside) if full else []
            self._seen = _Outlook(pace, ends or [0.0])
        return self._seen
