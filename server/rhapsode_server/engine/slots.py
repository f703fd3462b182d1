"""Who holds one of a model's slots, who waits for one, who has given his up."""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from rhapsode_server.engine.forecast import SURE, Forecast
from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.plan import Limits
from rhapsode_server.errors import DeadlineExpired, DeadlineTooShort, QueueFull

RowT = TypeVar("RowT")
PUSHBACK = 0.3  # seconds until a refused client may come back, at least
LONGEST_PUSHBACK = 5.0
CALM = 0.125  # of the slots: where fewer are taken, and nobody waits, a crowd has gone
GOLDEN = 0.618034  # the fraction whose multiples spread most evenly


@dataclass(frozen=True, slots=True)
class _Outlook:
    """What is foretold at a moment: the jobs that may be active, seconds a step, and when slots come free."""

    room: int
    pace: float | None
    ends: list[float]
    """In steps of runs, a heap."""


class Slots(Generic[RowT]):
    """The jobs of one model by where they stand. Refuses at once what would wait too long."""

    def __init__(self, limits: Limits, forecast: Forecast) -> None:
        self._limits = limits
        self._forecast = forecast
        self.queue: deque[Job[RowT]] = deque()
        self.active: set[Job[RowT]] = set()
        self.parked: dict[Job[RowT], None] = {}  # the longest parked first
        self._seen: _Outlook | None = None
        self._ran = 0.0
        self._refused = 0
        self._crowded = False
        self._long = False  # whether jobs take several runs: what is done in one is not slowed by company

    def __iter__(self) -> Iterator[Job[RowT]]:
        return iter((*self.active, *self.queue, *self.parked))

    def __len__(self) -> int:
        return len(self.active) + len(self.queue) + len(self.parked)

    @property
    def room(self) -> int:
        """Jobs that may be active: as many as there are slots; in a crowd of long ones as keep the runs busy."""
        return self._outlook.room

    def wait(self, now: float) -> float | None:
        """Seconds that a job which comes now has to expect to wait for a slot; None where the speed is not known."""
        seen = self._outlook
        if len(self.active) < seen.room and not self.queue:
            return 0.0
        return None if seen.pace is None else max(0.0, seen.ends[0] * seen.pace - (now - self._ran))

    def check_room(self, now: float) -> float | None:
        """As `wait`. Raises QueueFull where that is too long for whatever comes."""
        wait = self.wait(now)
        if wait != 0.0 and self._long:
            self._crowd(True)
        self._check_queue(wait)
        return wait

    def admit(self, job: Job[RowT], now: float) -> None:
        """Put a job into the queue. Raises DeadlineExpired, QueueFull or DeadlineTooShort."""
        if job.deadline is not None and job.deadline <= now:
            raise DeadlineExpired("the deadline had passed when the request arrived")
        self._long = job.work.longest > 1
        wait = self.check_room(now)
        self._check_deadline(job, now, wait or 0.0)
        self.queue.append(job)
        if self._seen is not None and self._seen.ends:
            heapq.heapreplace(self._seen.ends, self._seen.ends[0] + self._forecast.runs(job.work))

    def fill(self) -> list[Job[RowT]]:
        """Give free slots to those who wait: who got one."""
        lucky: list[Job[RowT]] = []
        if not self.queue and len(self.active) < self._limits.slots * CALM:
            self._crowd(False)
        room = self.room
        while self.queue and len(self.active) < room:
            job = self.queue.popleft()
            job.stage = Stage.ACTIVE
            self.active.add(job)
            lucky.append(job)
            self._seen = None
        return lucky

    def leave(self, job: Job[RowT]) -> None:
        """Forget a job, wherever it stands."""
        if job.stage is Stage.QUEUED:
            self.queue.remove(job)
        self.active.discard(job)
        self.parked.pop(job, None)
        self._seen = None

    def park(self, job: Job[RowT]) -> Job[RowT] | None:
        """Take a job's slot, or its place in the queue: which job has to end, where too many are parked."""
        self.leave(job)
        job.stage = Stage.PARKED
        self.parked[job] = None
        return next(iter(self.parked)) if len(self.parked) > self._limits.parked else None

    def unpark(self, job: Job[RowT]) -> None:
        """Have a job wait for a slot before all who have not begun."""
        del self.parked[job]
        job.stage = Stage.QUEUED
        self.queue.appendleft(job)
        self._seen = None

    def ran(self, now: float) -> None:
        """A run begins or has ended: what was foretold before is out of date."""
        self._seen, self._ran = None, now

    @property
    def _outlook(self) -> "_Outlook":
        """What is foretold, made anew after every change but the arrival of one who waits."""
        if self._seen is None:
            active, queued = ([job.work for job in jobs] for jobs in (self.active, self.queue))
            rows = sum(work.rows for work in active)
            room = self._limits.slots
            if self._crowded:  # by jobs: one of many rows may fill the runs, and must not keep the others waiting
                room = max(1, min(room, round(self._forecast.enough())))
            ends = self._forecast.ends(active, queued, room) if len(active) >= room else []
            self._seen = _Outlook(room, self._forecast.pace(rows), ends or [0.0])
        return self._seen

    def _crowd(self, here: bool) -> None:
        if here is not self._crowded:
            self._crowded, self._seen = here, None

    def _check_queue(self, wait: float | None) -> None:
        if len(self.active) >= self.room and len(self.queue) >= self._limits.queue:
            raise QueueFull(
                f"the model already holds {len(self.active)} requests, and {len(self.queue)} wait",
                {"slots": str(len(self.active)), "queue": str(len(self.queue))},
                self._pushback(wait or 0.0),
            )
        if wait is not None and wait > self._limits.wait:
            expected, most = f"{wait:.1f}", f"{self._limits.wait:g}"
            raise QueueFull(
                f"the request would have to wait for some {expected} seconds, longer than {most}",
                {"expected_wait": expected, "queue_wait": most},
                self._pushback(wait),
            )

    def _check_deadline(self, job: Job[RowT], now: float, wait: float) -> None:
        """A job that nobody else would suffer from is never refused: a wrong forecast would never be put right."""
        if job.deadline is None or not self.active:
            return
        needs = SURE * wait
        if job.whole:
            needs += self._forecast.needs(job.work, (other.work for other in self.active))
        if needs > job.deadline - now:
            seconds, left = f"{needs:.3f}", f"{job.deadline - now:.3f}"
            raise DeadlineTooShort(
                f"the model needs {seconds} seconds at the least, and the deadline leaves {left}",
                {"seconds": seconds, "left": left},
                self._pushback(wait),
            )

    def _pushback(self, wait: float) -> float:
        """When to come back: each a little later than the last, so that a crowd does not come back at once."""
        self._refused += 1
        spread = 1.0 + self._refused * GOLDEN % 1.0
        return min(LONGEST_PUSHBACK, max(PUSHBACK, wait) * spread)
