"""One graph for all who ask for it: rows of its role and rows of tensors advance in the same run.

Rules, each with a test of its own:

1. What a row gives does not depend on whether rows of the other kind are beside it: where company changes a row's bits,
   the two kinds run one after the other.
2. A run that fails with rows of tensors in it is taken apart: rows of the other kind never fail for them, and each of
   them fails for itself, or is told to come again where very many are at fault. Where the graph runs on its example,
   the tensors were at fault and not the model; so they are where it gives numbers for them that are not finite.
3. Rows of a role move on last, so that a run which is to be repeated finds them where they stood.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rhapsode_server.errors import NonFiniteOutput, OutOfMemory, RunFailed
from rhapsode_server.models.base import ONE, Outcome, Wanted
from rhapsode_server.models.graph_model import GraphModel
from rhapsode_server.models.halving import Outcomes, by_halves
from rhapsode_server.models.tensors import TensorModel, TensorRow, Tensors, refusal


class SharedGraph:
    """Advances rows of tensors and, where the role has a meaning here, rows of that; both models have one session."""

    def __init__(self, tensors: TensorModel, typed: GraphModel[Any, Any] | None, joins: bool) -> None:
        """Take `joins` for whether company leaves a row's bits alone."""
        self.max_batch = tensors.max_batch
        self._tensors = tensors
        self._typed = typed
        self._joins = joins

    def wants(self, row: object) -> Wanted:
        """How many steps a row wants still: a row of tensors one."""
        return ONE if self._typed is None or isinstance(row, TensorRow) else self._typed.wants(row)

    def advance(self, rows: Sequence[Any]) -> Outcomes:
        """Advance every row by one run.

        Raises RunFailed, OutOfMemory or DeviceLost; every row then stands where it stood.
        """
        raw = [row for row in rows if isinstance(row, TensorRow)]
        if self._typed is not None and not raw:
            return self._typed.advance(rows)
        ends = self._tensors.refused(raw)
        fit = [row for row, end in zip(raw, ends, strict=True) if end is None]
        told, made = self._run([row for row in rows if not isinstance(row, TensorRow)], fit)
        of_raw, of_typed = _filled(ends, told), iter(made)
        return [next(of_raw if isinstance(row, TensorRow) else of_typed) for row in rows]

    def _run(self, typed: Sequence[Any], raw: Sequence[TensorRow]) -> tuple[Outcomes, Outcomes]:
        """The outcomes of the rows of tensors, and those of the others."""
        if self._typed is None or not typed:
            return self._alone(raw), ()
        if raw and self._joins:
            try:
                return self._together(self._typed, typed, raw)
            except OutOfMemory:  # fewer rows might do
                raise
            except RunFailed:  # apart, it shows whose fault that was
                return _apart(self._alone(raw)), self._typed.advance(typed)
        return self._alone(raw), self._typed.advance(typed)

    def _together(
        self, model: GraphModel[Any, Any], typed: Sequence[Any], raw: Sequence[TensorRow]
    ) -> tuple[Outcomes, Outcomes]:
        mine, theirs = model.feeds(typed), self._tensors.feeds(raw)
        end = len(next(iter(mine.values())))  # which may be more than there are rows
        results = model.run({name: np.concatenate([mine[name], theirs[name]]) for name in mine})
        told = self._tensors.outcomes(raw, theirs, {name: values[end:] for name, values in results.items()})
        told = self._judged(told)
        return told, model.outcomes(typed, mine, {name: values[:end] for name, values in results.items()})

    def _alone(self, raw: Sequence[TensorRow]) -> Outcomes:
        """Rows of tensors by themselves."""
        if not raw:
            return ()
        try:
            return self._judged(self._tensors.advance(raw))
        except OutOfMemory:
            raise
        except RunFailed:
            self._tensors.advance([self._tensors.example])  # which fails as well where it is the model's fault
            return _apart(self._judged(by_halves(self._tensors.advance, raw)))

    def _judged(self, told: Outcomes) -> Outcomes:
        """The outcomes; where some gave numbers that are not finite though the example gives none, those refused."""
        if not any(_astray(outcome) for outcome in told) or self._tensors.advance([self._tensors.example])[0].error:
            return told
        text = "the graph gives numbers for these tensors that are not finite"
        return [refusal(text) if _astray(outcome) else outcome for outcome in told]


def _astray(outcome: Outcome[Any]) -> bool:
    return isinstance(outcome.error, NonFiniteOutput)


def _apart(told: Outcomes) -> Outcomes:
    """The outcomes, with the note that they are of a run that was taken apart."""
    return [outcome._replace(apart=True) for outcome in told]


def _filled(ends: Sequence[Outcome[Tensors] | None], told: Outcomes) -> Iterator[Outcome[Any]]:
    """The outcomes that there are, and the next of `told` where there is none yet."""
    following = iter(told)
    return (end or next(following) for end in ends)
