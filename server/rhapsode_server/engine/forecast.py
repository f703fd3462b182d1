"""How soon work is done, told from how long runs have taken."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

SURE = 0.5
"""The share of a forecast that counts against a deadline: what could be done in half of the time is not refused."""


@dataclass(slots=True)
class Work:
    """What a job still wants of the runs. A step is what a run does at least for each of its rows."""

    rows: int
    """Rows that are not done."""
    left: int
    """Steps of all of them, at most."""
    least: int
    """Steps that they surely wanted when the job arrived; less than at most where a text may end by itself."""
    taken: int = 0
    """Steps that were taken since then."""
    certain: bool = True
    """Whether only a cancellation can end it early."""
    all_rows: int = field(init=False)
    """Rows that it came with."""

    def __post_init__(self) -> None:
        self.all_rows = max(1, self.rows)

    def took(self, rows: int, left: int, steps: int) -> None:
        """Note that so many rows are done, that so many steps are wanted no more, and that so many were taken."""
        self.rows -= rows
        self.left = max(self.rows, self.left - left)
        self.taken += steps

    @property
    def longest(self) -> float:
        """Steps that one of its rows wants; rows of a job are much alike."""
        return self.left / max(1, self.rows)


@dataclass(frozen=True, slots=True)
class _Mean:
    """What runs of about one size were like: their rows, and seconds a step."""

    rows: float
    pace: float

    def towards(self, seen: "_Mean", weight: float) -> "_Mean":
        """The mean with one more."""
        return _Mean(self.rows + weight * (seen.rows - self.rows), self.pace + weight * (seen.pace - self.pace))


_NONE = _Mean(0.0, 0.0)


class Forecast:
    """Learns from runs and from jobs that have ended; knows nothing at first, and then foretells nothing.

    Times are means at each size of batch, sizes taken together by powers of two. A row that may end by itself is
    expected to take as many steps as others of its kind took in the mean, the first ones none; one that has taken them
    and goes on as many again as it has had.
    """

    WEIGHT = 0.2  # of the newest in a mean
    BETTER = 0.5  # of a faster one: what is slow once may have been held up, as the first ones are
    ENOUGH = 0.95  # of the speed of a full batch
    FEWEST = 0.5  # of a full batch that can be enough

    def __init__(self, max_batch: int) -> None:
        self._max_batch = max_batch
        self._runs: dict[int, _Mean] = {}
        self._full = 0.0
        self._typical = 0.0

    def ran(self, rows: int, steps: int, seconds: float) -> None:
        """Learn from a run of so many rows and steps."""
        if rows < 1 or steps < 1 or seconds <= 0:
            return
        size, seen = rows.bit_length(), _Mean(rows, seconds / steps)
        known = self._runs.get(size, seen)
        self._runs[size] = known.towards(seen, self.BETTER if seen.pace < known.pace else self.WEIGHT)
        self._full = self.pace(self._max_batch) or 0.0

    def ended(self, work: Work) -> None:
        """Learn from a job that has come to its end."""
        if not work.certain:
            self._typical += (work.taken / work.all_rows - self._typical) * (self.WEIGHT if self._typical else 1.0)

    def pace(self, rows: int) -> float | None:
        """Seconds a step in a run of about so many rows, or else of the most below that; None where none is known."""
        size = max((size for size in self._runs if size <= rows.bit_length()), default=None)
        return None if size is None else self._runs[size].pace

    def enough(self) -> float:
        """Rows of which a run does nearly as much in a second as a full one, so that each row is done much sooner.

        Few rows are enough where the rows are what costs. Of what the sizes tell the fewest count: one that has seldom
        run looks slower than it is.
        """
        many = self._runs[max(self._runs)] if self._runs else None
        told = [self._enough(few, many) for few in self._runs.values() if many is not None and few.rows < many.rows]
        return max(min(told, default=self._max_batch), self.FEWEST * self._max_batch)

    def _enough(self, few: _Mean, many: _Mean) -> float:
        """The same from two sizes, where a run of n rows takes a + b·n."""
        each = (many.pace - few.pace) / (many.rows - few.rows)
        if each <= 0:
            return self._max_batch
        once = max(0.0, few.pace - each * few.rows)
        return self.ENOUGH * self._max_batch * once / (once + (1 - self.ENOUGH) * self._max_batch * each)

    def steps(self, work: Work) -> float:
        """Steps that a job is expected to take still, of all its rows."""
        if work.certain:
            return work.left
        coming = self._typical * work.all_rows - work.taken
        return min(work.left, coming if coming > 0 else work.rows * work.taken / work.all_rows)

    def runs(self, work: Work, jobs: int) -> float:
        """Steps of runs until one of so many active jobs has left: rows that do not fit a batch take turns."""
        return self.steps(work) * self._share(work, jobs)

    def lasts(self, work: Work, jobs: int) -> float:
        """Seconds that one of so many active jobs takes at most; 0 where nothing is known."""
        return work.left * self._share(work, jobs) * self._full

    def ends(self, active: Iterable[Work], queued: Iterable[Work], room: int, beside: int = 0) -> list[float]:
        """When each slot has done all that is accepted, in steps of runs from now: a heap, the soonest first.

        Where more jobs are active than there is room for, as many may leave before anybody gets a slot. So many jobs
        beside them have slots of their own.
        """
        ends = sorted(self.runs(work, room + beside) for work in active)
        ends = ends[max(0, len(ends) - room) :]
        for work in queued:
            heapq.heapreplace(ends, ends[0] + self.runs(work, room + beside))
        return ends

    def needs(self, work: Work, others: Iterable[Work]) -> float:
        """Seconds that a job surely needs once it begins, among others; 0 where nothing is known.

        Only the share SURE of its steps counts, in the company of those rows only that surely stay as long. All of them
        may fill the runs, but each row of the job waits for one of every other job: they take turns by jobs.
        """
        half = SURE * work.least / max(1, work.rows)
        company = [other.rows for other in others if other.certain and other.longest >= half]
        pace = self.pace(min(work.rows + sum(company), self._max_batch)) or 0.0
        turns = (work.rows + sum(min(rows, work.rows) for rows in company)) / self._max_batch
        return half * pace * max(1.0, turns)

    def _share(self, work: Work, jobs: int) -> float:
        """Runs that a step of the job takes, where a run is shared by so many jobs."""
        return max(1 / max(1, work.rows), jobs / self._max_batch)
