"""The rows of a job that wait for a run: one that has not begun is asked for when its turn comes."""

from collections import deque
from collections.abc import Sequence
from itertools import chain, islice
from typing import Generic, TypeVar

RowT = TypeVar("RowT")


class Backlog(Generic[RowT]):
    """A queue of rows which begins as a sequence. It does not copy the sequence, so that one which makes its
    rows as they are asked for never has them all.
    """

    def __init__(self, rows: Sequence[RowT]) -> None:
        self._rows: Sequence[RowT] = rows
        self._next = 0
        self._before: deque[RowT] = deque()
        self._after: deque[RowT] = deque()

    def __len__(self) -> int:
        return len(self._before) + len(self._rows) - self._next + len(self._after)

    def first(self, count: int) -> list[RowT]:
        """Look at the first rows, at most so many."""
        begun = range(self._next, min(self._next + count, len(self._rows)))
        return list(islice(chain(self._before, (self._rows[place] for place in begun), self._after), count))

    def popleft(self) -> RowT:
        """Take the first row. Raises IndexError where there is none."""
        if self._before:
            return self._before.popleft()
        if self._next == len(self._rows):
            return self._after.popleft()
        self._next += 1
        return self._rows[self._next - 1]

    def appendleft(self, row: RowT) -> None:
        """Put a row before all others."""
        self._before.appendleft(row)

    def append(self, row: RowT) -> None:
        """Put a row behind all others."""
        self._after.append(row)

    def clear(self) -> None:
        """Drop all rows."""
        self._rows, self._next = (), 0
        self._before.clear()
        self._after.clear()
