"""A graph and what rows of one kind are to it: what it is fed for them, what becomes of them by what it gives."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.base import Outcome, Session, Wanted

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")
Arrays = Mapping[str, NDArray[Any]]
"""Tensors [n, …] by name."""


class GraphModel(ABC, Generic[RowT, EventT]):
    """Advances rows by one run of its graph.

    What it is fed may have more rows than it was asked for; those that a run begins with are the rows themselves.
    """

    def __init__(self, session: Session, max_batch: int) -> None:
        self.max_batch = max_batch
        self._session = session

    @abstractmethod
    def feeds(self, rows: Sequence[RowT]) -> Arrays:
        """What a run takes; for the same rows again the same, as long as `outcomes` has not moved them on."""

    @abstractmethod
    def outcomes(self, rows: Sequence[RowT], feeds: Arrays, results: Arrays) -> Sequence[Outcome[EventT]]:
        """Move every row on by what the graph gave for what it was fed."""

    @abstractmethod
    def wants(self, row: RowT) -> Wanted:
        """How many steps a row wants still."""

    def advance(self, rows: Sequence[RowT]) -> Sequence[Outcome[EventT]]:
        """Advance every row. Raises RunFailed, OutOfMemory or DeviceLost; every row then stands where it stood."""
        feeds = self.feeds(rows)
        return self.outcomes(rows, feeds, self.run(feeds))

    def run(self, feeds: Arrays) -> Arrays:
        """What the graph gives: of more rows than a run may have, run by run."""
        rows = len(next(iter(feeds.values())))
        parts = [
            self._session.run({name: values[first : first + self.max_batch] for name, values in feeds.items()})
            for first in range(0, rows, self.max_batch)
        ]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def finite(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether all numbers of each row are finite: [n, …] → [n]."""
    return np.asarray(np.isfinite(values).reshape(len(values), -1).all(axis=1))
