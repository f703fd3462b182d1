"""Who gets one of a model's slots, who has to wait for one, who has given his up."""

from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

from rhapsode_server.engine.forecast import SURE, Forecast, Work
from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.line import Line
from rhapsode_server.engine.plan import Limits
from rhapsode_server.errors import DeadlineExpired, DeadlineTooShort, QueueFull

RowT = TypeVar("RowT")
PUSHBACK = 0.3  # seconds until a refused client may come back, at least
LONGEST_PUSHBACK = 5.0
GOLDEN = 0.618034  # the fraction whose multiples spread most evenly


class Slots(Generic[RowT]):
    """The jobs of one model by where they stand. Refuses at once what would wait too long.

    Long jobs stand in a line of their own with as many slots: streams of 100,000 pictures keep no single picture
    waiting, and take at most half of the runs from it.
    """

    def __init__(self, limits: Limits, forecast: Forecast) -> None:
        self._limits = limits
        self._forecast = forecast
        self._brief: Line[RowT] = Line(limits.slots, forecast, self._present)
        self._long: Line[RowT] = Line(limits.slots, forecast, self._present)
        self._lines = (self._brief, self._long)
        self.parked: dict[Job[RowT], None] = {}  # the longest parked first
        self._ran = 0.0
        self._refused = 0

    def __iter__(self) -> Iterator[Job[RowT]]:
        queued = chain(*(line.queue for line in self._lines))
        return iter((*self._present(), *queued, *self.parked))

    def __len__(self) -> int:
        return self.active + self.queued + len(self.parked)

    @property
    def active(self) -> int:
        """Jobs that hold a slot."""
        return sum(len(line.active) for line in self._lines)

    @property
    def queued(self) -> int:
        """Jobs that wait for one."""
        return sum(len(line.queue) for line in self._lines)

    @property
    def room(self) -> int:
        """Jobs that may be active: below that another one gets a slot, be it brief or long."""
        return self.active + min(line.spare for line in self._lines)

    def wait(self, now: float) -> float:
        """Seconds that a job which comes now has to expect to wait, in the line that is slower; 0 while not known."""
        return max(line.wait(now - self._ran) or 0.0 for line in self._lines)

    def check_room(self, work: Work, now: float) -> None:
        """Raises QueueFull where `admit` would for a job of so much work."""
        self._check_line(self._long if self._lasts(work) else self._brief, now)

    def admit(self, job: Job[RowT], now: float) -> None:
        """Put a job into the queue. Raises DeadlineExpired, QueueFull or DeadlineTooShort."""
        if job.deadline is not None and job.deadline <= now:
            raise DeadlineExpired("the deadline had passed when the request arrived")
        job.long = self._lasts(job.work)
        line = self._line(job)
        self._check_deadline(job, now, self._check_line(line, now))
        line.append(job)

    def fill(self) -> list[Job[RowT]]:
        """Give free slots to those who wait: who got one."""
        lucky: list[Job[RowT]] = []
        for line in self._lines:
            line.calm()
            while line.queue and line.spare:
                job = line.queue.popleft()
                if not job.long and self._lasts(job.work):
                    job.long = True
                    self._long.append(job)  # whose turn is next
                    continue
                job.stage = Stage.ACTIVE
                line.active.add(job)
                lucky.append(job)
                self._forget()
        return lucky

    def leave(self, job: Job[RowT]) -> None:
        """Forget a job, wherever it stands."""
        line = self._line(job)
        if job.stage is Stage.QUEUED:
            line.queue.remove(job)
        line.active.discard(job)
        self.parked.pop(job, None)
        self._forget()

    def park(self, job: Job[RowT]) -> Job[RowT] | None:
        """Take a job's slot, or its place in the queue: which job has to end, where too many are parked."""
        self.leave(job)
        job.stage = Stage.PARKED
        self.parked[job] = None
        return next(iter(self.parked)) if len(self.parked) > self._limits.parked else None

    def unpark(self, job: Job[RowT]) -> None:
        """Have a job wait for a slot before all of its line who have not begun."""
        del self.parked[job]
        job.stage = Stage.QUEUED
        self._line(job).queue.appendleft(job)
        self._forget()

    def run_begins(self, now: float) -> None:
        """What was foretold is out of date."""
        self._ran = now
        self._forget()

    def run_ended(self, now: float) -> None:
        """Likewise; and more may be known of who is long."""
        self.run_begins(now)
        if not self._brief.free:
            self._part()

    def _part(self) -> None:
        """Have jobs go to the other line that are long, as could not be told when they came."""
        for job in [job for job in self._brief.active if self._lasts(job.work)][: self._long.spare]:
            job.long = True
            self._brief.active.discard(job)
            self._long.active.add(job)

    def _lasts(self, work: Work) -> bool:
        """Whether it may hold a slot for long, as far as is known."""
        return self._forecast.lasts(work, self._limits.slots) > self._limits.long

    def _line(self, job: Job[RowT]) -> Line[RowT]:
        return self._long if job.long else self._brief

    def _present(self) -> list[Job[RowT]]:
        """The jobs that hold a slot."""
        return [job for line in self._lines for job in line.active]

    def _forget(self) -> None:
        for line in self._lines:
            line.forget()

    def _check_line(self, line: Line[RowT], now: float) -> float:
        """Seconds that a job which comes now has to expect to wait. Raises QueueFull where that is too long."""
        if not line.free:
            line.throng()
        wait = line.wait(now - self._ran) or 0.0
        if not line.spare and self.queued >= self._limits.queue:
            raise QueueFull(
                f"the model already holds {self.active} requests, and {self.queued} wait",
                {"slots": str(self.active), "queue": str(self.queued)},
                self._pushback(wait),
            )
        if wait > self._limits.wait:
            expected, most = f"{wait:.1f}", f"{self._limits.wait:g}"
            raise QueueFull(
                f"the request would have to wait for some {expected} seconds, longer than {most}",
                {"expected_wait": expected, "queue_wait": most},
                self._pushback(wait),
            )
        return wait

    def _check_deadline(self, job: Job[RowT], now: float, wait: float) -> None:
        """A job that nobody else would suffer from is never refused: a wrong forecast would never be put right."""
        if job.deadline is None or not self.active:
            return
        needs = SURE * wait
        if job.whole:
            needs += self._forecast.needs(job.work, (other.work for other in self._present()))
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
