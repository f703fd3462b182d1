"""Any graph by itself: one step turns a row's input tensors into its output tensors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput, TensorsRefused
from rhapsode_server.models.base import OneRun, Outcome, Session
from rhapsode_server.models.graph_model import Arrays, GraphModel, finite


@dataclass(frozen=True, slots=True, eq=False)
class TensorRow:
    """What one row is given: an array for each input of the graph by name, without the batch axis.

    Names, types and shapes are those that the bundle declares: whoever makes a row has seen to that.
    """

    inputs: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """What one row gave: an array for each output of the graph by name, without the batch axis."""

    outputs: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Range:
    """What the numbers of an integer input may be: from `least` on, below `end`."""

    least: int
    end: int


Sound = Callable[[Arrays], NDArray[np.bool_]]
"""Which rows may be told of, by what the graph gave: [n]."""


def all_finite(results: Arrays) -> NDArray[np.bool_]:
    """Those whose numbers all are finite."""
    return np.asarray(np.all([finite(values) for values in results.values()], axis=0))


def can_be_drawn(results: Arrays) -> NDArray[np.bool_]:
    """Those of a step graph whose logits a token can be drawn from, and whose states have no NaN.

    −∞ forbids a token; NaN, +∞ and nothing but −∞ cannot be drawn from.
    """
    states = [~np.isnan(values).reshape(len(values), -1).any(axis=1) for values in results.values()]
    return np.asarray(np.all([np.isfinite(results["logits"].max(axis=1)), *states], axis=0))


class TensorModel(OneRun, GraphModel[TensorRow, Tensors]):
    """Runs a graph on rows of tensors. `example` is a row that it is known to run on."""

    def __init__(
        self,
        session: Session,
        max_batch: int,
        example: TensorRow,
        ranges: Mapping[str, Range],
        sound: Sound = all_finite,
    ) -> None:
        super().__init__(session, max_batch)
        self.example = example
        self._ranges = ranges
        self._sound = sound

    def feeds(self, rows: Sequence[TensorRow]) -> Arrays:
        """The rows' tensors, one above the other."""
        return {name: _stacked(name, rows) for name in self.example.inputs}

    def outcomes(self, _rows: Sequence[TensorRow], _feeds: Arrays, results: Arrays) -> Sequence[Outcome[Tensors]]:
        """Hand every row what is its own; each is done after it."""
        told = zip(*(_apart(values) for values in results.values()), strict=True)
        return [
            Outcome((Tensors(dict(zip(results, outputs, strict=True))),), done=True, made=1, raw=True)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave numbers that are not finite"))
            for outputs, fine in zip(told, self._sound(results).tolist(), strict=True)
        ]

    def refused(self, rows: Sequence[TensorRow]) -> Sequence[Outcome[Tensors] | None]:
        """What becomes of those that it cannot be run on, None for all others.

        A provider may end a run for an index that there is not, and so the rows of others; or take it for another.
        """
        outcomes: list[Outcome[Tensors] | None] = [None] * len(rows)
        for name, allowed in self._ranges.items():
            values = _stacked(name, rows).reshape(len(rows), -1)
            for place in np.flatnonzero(((values < allowed.least) | (values >= allowed.end)).any(axis=1)):
                outcomes[place] = refusal(f"{name} must be in [{allowed.least}, {allowed.end})")
        return outcomes


def refusal(message: str) -> Outcome[Tensors]:
    """The end of a row that the graph cannot be run on."""
    return Outcome(done=True, error=TensorsRefused(message))


def _stacked(name: str, rows: Sequence[TensorRow]) -> NDArray[Any]:
    return np.array([row.inputs[name] for row in rows])  # np.stack takes thrice as long for many small ones


def _apart(values: NDArray[Any]) -> Sequence[NDArray[Any]]:
    """The rows. Copies, because what waits for its reader must not keep its whole batch in memory."""
    if values.ndim == 1:  # whose elements by themselves are no arrays
        return [values[place, ...].copy() for place in range(len(values))]
    return [row.copy() for row in values]
