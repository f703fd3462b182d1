"""The file of golden inputs and outputs that a server checks a bundle by."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from rhapsode.v1.bundle_pb2 import GraphRole
from rhapsode_exporter.bundle.export import role_name
from rhapsode_exporter.bundle.onnx_runtime import Tensors

FILE = "goldens.safetensors"


@dataclass(frozen=True, slots=True)
class Golden:
    """What one graph gives for its golden inputs; every tensor has 33 rows."""

    role: GraphRole.ValueType
    inputs: Tensors
    outputs: Tensors


def write_goldens(goldens: list[Golden], folder: Path) -> None:
    """Write all graphs' goldens, keyed `<role>.inputs.<tensor>` and `<role>.outputs.<tensor>`."""
    tensors: Tensors = {}
    for golden in goldens:
        tensors |= _keyed(f"{role_name(golden.role)}.inputs", golden.inputs)
        tensors |= _keyed(f"{role_name(golden.role)}.outputs", golden.outputs)
    # Written by ourselves: the library's own writer leaves the file readable by its owner alone.
    (folder / FILE).write_bytes(save(tensors))


def _keyed(prefix: str, tensors: Mapping[str, np.ndarray]) -> Tensors:
    return {f"{prefix}.{name}": np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
