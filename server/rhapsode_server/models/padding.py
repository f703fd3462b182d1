"""Batches of few sizes: what a provider that plans for shapes, or chooses algorithms by them, wants to be given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Buckets:
    """The sizes that batches are padded to; without any, each batch keeps its own."""

    def __init__(self, sizes: Sequence[int] = ()) -> None:
        self._sizes = tuple(sorted(sizes))

    def __call__(self, rows: int) -> int:
        """The least size that holds so many rows; their number itself where none does."""
        return next((size for size in self._sizes if size >= rows), rows)


def pad(values: NDArray[Any], rows: int, fill: object, axis: int = 0) -> NDArray[Any]:
    """Lengthen the axis of the batch to `rows` with `fill`, which has the shape of what stands there, or none."""
    missing = rows - values.shape[axis]
    if not missing:
        return values
    shape = list(values.shape)
    shape[axis] = missing
    return np.concatenate([values, np.broadcast_to(np.asarray(fill, values.dtype), shape)], axis=axis)
