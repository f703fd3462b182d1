"""The state that a step graph carries from one step of a row to the next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StateSpec:
    """A state tensor of the step graph: fed through `input`, read back from `output`."""

    input: str
    output: str
    shape: tuple[int, ...]
    """Of one row: without the batch axis."""
    dtype: np.dtype[Any]
    initial_value: float

    @property
    def initial(self) -> NDArray[Any]:
        """The state of a fresh row."""
        return np.full(self.shape, self.initial_value, self.dtype)

    def stacked(self, states: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """The states of some rows, or of none, as one tensor [rows, …]."""
        return np.stack(states) if states else np.empty((0, *self.shape), self.dtype)
