"""What a run of a graph costs, side by side with another graph."""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors

ROUNDS = 15
ROUND_SECONDS = 0.02


def cpu_microseconds(graphs: Sequence[OnnxRuntime], inputs: Tensors, batch: int) -> list[float]:
    """CPU time of one run of each graph in µs: the medians of ROUNDS rounds in which they take turns, on one thread.

    The batch is made of the rows of `inputs`, repeated as often as it takes.
    """
    feeds = {name: np.resize(values, (batch, *values.shape[1:])) for name, values in inputs.items()}
    repeats = max(1, int(ROUND_SECONDS * 1e6 / max(_cost(graph, feeds, 1) for graph in graphs)))
    rounds = [[_cost(graph, feeds, repeats) for graph in graphs] for _ in range(ROUNDS)]
    return [statistics.median(costs) for costs in zip(*rounds, strict=True)]


def _cost(graph: OnnxRuntime, feeds: Tensors, repeats: int) -> float:
    graph.run(feeds)  # its weights are in the cache again after another graph's turn
    begun = time.process_time_ns()
    for _ in range(repeats):
        graph.run(feeds)
    return (time.process_time_ns() - begun) / repeats / 1e3
