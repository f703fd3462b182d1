"""Any graph by itself: one step turns a row's input tensors into its output tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import OneRun, Outcome, Session


@dataclass(frozen=True, slots=True, eq=False)
class TensorRow:
    """What one row is given: an array for each input of the graph by name, without the batch axis."""

    inputs: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Tensors:
    """What one row gave: an array for each output of the graph by name, without the batch axis."""

    outputs: Mapping[str, NDArray[Any]]


class TensorModel(OneRun):
    """Runs a graph on rows of tensors."""

    def __init__(self, session: Session, max_batch: int) -> None:
        self.max_batch = max_batch
        self._session = session

    def advance(self, rows: Sequence[TensorRow]) -> Sequence[Outcome[Tensors]]:
        """Run every row; each is done after it."""
        names = rows[0].inputs
        results = self._session.run({name: np.stack([row.inputs[name] for row in rows]) for name in names})
        return [
            _outcome({name: values[place].copy() for name, values in results.items()}) for place in range(len(rows))
        ]


def _outcome(outputs: Mapping[str, NDArray[Any]]) -> Outcome[Tensors]:
    if all(np.isfinite(values).all() for values in outputs.values() if values.dtype.kind == "f"):
        return Outcome((Tensors(outputs),), done=True, made=1)
    return Outcome(done=True, error=NonFiniteOutput("the model gave numbers that are not finite"))
