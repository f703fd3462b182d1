"""What a driver has done since it was made, for those who ask for statistics."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rhapsode_server.errors import Refusal, RequestError
from rhapsode_server.models.base import Outcome


class Sum(NamedTuple):
    """How many there were, and the seconds of all of them together."""

    number: int = 0
    seconds: float = 0.0

    def and_one(self, seconds: float) -> "Sum":
        """With one more."""
        return Sum(self.number + 1, self.seconds + seconds)


class Tally(NamedTuple):
    """Of one driver; rows of its role and rows of tensors together."""

    rows: int
    """Advanced by a run: a row of many steps counts in each of its runs."""
    runs: Sum
    """Those of which any row got on."""
    by_size: Mapping[int, Sum]
    """The same runs, by how many rows they had; those that were refused were in none, or in one that came to nothing.

    One that was taken apart counts as one.
    """
    last_run: float | None
    """When the last run ended, in seconds since 1970; None before the first."""


class Ledger:
    """Counts, in any thread. What is told of it stays as it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0
        self._by_size: dict[int, Sum] = {}
        self._last_run: float | None = None

    def ran(self, outcomes: Sequence[Outcome[Any]], seconds: float, now: float) -> None:
        """A run has ended, with an outcome for each of its rows; `now` is in seconds since 1970."""
        size = sum(not isinstance(outcome.error, RequestError | Refusal) for outcome in outcomes)
        advanced = sum(outcome.error is None for outcome in outcomes)
        with self._lock:
            self._rows += advanced
            self._last_run = now
            if advanced:
                self._by_size[size] = self._by_size.get(size, Sum()).and_one(seconds)

    def read(self) -> Tally:
        """What was counted so far."""
        with self._lock:
            by_size = dict(self._by_size)
            runs = Sum(*map(sum, zip(*by_size.values(), strict=True))) if by_size else Sum()
            return Tally(self._rows, runs, by_size, self._last_run)
