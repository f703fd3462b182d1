"""A bundle on disk with its graphs ready to run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rhapsode.v1.bundle_pb2 import Bundle
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.bundle.read import read_bundle

# Rows of one run: enough that a run's own cost is nothing, few enough that what lies between layers stays in the cache.
ROWS = 256


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A manifest, and a session for each of its graphs by role."""

    manifest: Bundle
    sessions: Mapping[int, OnnxRuntime]

    def run(self, role: int, inputs: Tensors) -> Tensors:
        """All outputs of the graph of this role, by name; the rows of the inputs are run ROWS at a time."""
        count = len(next(iter(inputs.values())))
        parts = [
            self.sessions[role].run({name: values[start : start + ROWS] for name, values in inputs.items()})
            for start in range(0, count, ROWS)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def open_bundle(folder: Path) -> Opened:
    """Open models/NAME/VERSION; BundleUnreadableError or GraphFailedError where it is not a whole bundle."""
    manifest = read_bundle(folder).manifest
    return Opened(manifest, {graph.role: OnnxRuntime(folder / graph.file) for graph in manifest.graphs})
