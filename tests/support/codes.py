"""Tables of how often the values of a code are met."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import numpy as safetensors


def frequencies(size: int, reach: int) -> NDArray[np.int32]:
    """A table of frequencies that fall with the distance from zero, each number's a little steeper than the last's."""
    values = np.abs(np.arange(-reach, reach + 1))
    table = 1 + (2**20 >> (values[None, :] * (2 + np.arange(size)[:, None] % 3) // 2).clip(max=20))
    table = np.maximum(1, table * (2**24) // table.sum(axis=1, keepdims=True))
    table[:, reach] += 2**24 - table.sum(axis=1)
    counts: NDArray[np.int32] = table.astype(np.int32)
    return counts


def code_file(table: NDArray[Any]) -> bytes:
    """The content of code.safetensors."""
    return safetensors.save({"frequencies": table})
