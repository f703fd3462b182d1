"""Whether a row of a graph has the same bits in every batch and at every place, on this processor."""

import numpy as np

from rhapsode_exporter.bundle.draft import GOLDEN_ROWS
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.bundle.parity import BATCHES

# A fixed order of the 33 rows: 7 and 33 have no common divisor.
PERMUTATION = tuple((7 * row + 5) % GOLDEN_ROWS for row in range(GOLDEN_ROWS))


def batch_invariant(graph: OnnxRuntime, inputs: Tensors) -> bool:
    """Run the first 1, 3, 8 and all 33 golden rows and all of them permuted, as a server does at load."""
    whole = graph.run(inputs)
    runs = [*(tuple(range(batch)) for batch in BATCHES), PERMUTATION]
    return all(_same(graph, inputs, whole, list(rows)) for rows in runs)


def _same(graph: OnnxRuntime, inputs: Tensors, whole: Tensors, rows: list[int]) -> bool:
    found = graph.run({name: values[rows] for name, values in inputs.items()})
    return all(
        np.array_equal(values.view(np.uint8), whole[name][rows].view(np.uint8)) for name, values in found.items()
    )
