"""What shapes a graph's outputs really have, found by running it with two batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.importer.contract import dtype_name
from rhapsode_exporter.importer.surgery import Port

BATCHES = (2, 3)  # neither 0 nor 1, which a graph may treat in a way of their own


@dataclass(frozen=True, slots=True)
class Observed:
    """An output as it came: its ONNX element type, its sizes in a batch of two rows, and the axes that follow it."""

    dtype: int
    shape: tuple[int, ...]
    batch: tuple[int, ...]

    def __str__(self) -> str:
        """As in docs/bundle.md: "float32 [2, batch, 30]"."""
        axes = ("batch" if place in self.batch else str(size) for place, size in enumerate(self.shape))
        return f"{dtype_name(self.dtype)} [{', '.join(axes)}]"


def observe(graph: OnnxRuntime, inputs: Sequence[Port], feeds: Callable[[int], Tensors]) -> Mapping[str, Observed]:
    """Every output of a foreign graph by name; `feeds` gives the bundle's inputs for a number of rows."""
    small, large = (graph.run(_foreign(inputs, feeds(rows))) for rows in BATCHES)
    return {name: _observed(small[name], large[name]) for name in small}


def _foreign(inputs: Sequence[Port], feeds: Tensors) -> Tensors:
    return {
        port.foreign: reduce(lambda array, step: step.apply(array), port.steps, feeds[port.name]) for port in inputs
    }


def _observed(small: NDArray[np.generic], large: NDArray[np.generic]) -> Observed:
    dtype = int(helper.np_dtype_to_tensor_dtype(small.dtype))
    pairs = zip(small.shape, large.shape, strict=False)
    follows = tuple(place for place, pair in enumerate(pairs) if pair == BATCHES)
    fixed = sum(one == other for one, other in zip(small.shape, large.shape, strict=False))
    sound = small.ndim == large.ndim == fixed + len(follows)
    return Observed(dtype, small.shape, follows if sound else ())
