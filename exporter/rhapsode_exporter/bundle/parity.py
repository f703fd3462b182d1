"""The proof that torch and ONNX Runtime compute the same, without which no bundle is written."""

from pathlib import Path

import numpy as np
import torch

from rhapsode_exporter.bundle.draft import GOLDEN_ROWS, GraphDraft
from rhapsode_exporter.bundle.onnx_runtime import OnnxRuntime, Tensors
from rhapsode_exporter.errors import ExportFailedError, ParityFailedError

BATCHES = (1, 3, 8, GOLDEN_ROWS)


def prove(draft: GraphDraft, path: Path) -> Tensors:
    """The outputs of ONNX Runtime for all golden inputs, by name, each [GOLDEN_ROWS, …].

    Compared with torch's at batches 1, 3, 8 and 33. Raises ParityFailedError where they differ by more than the
    graph's tolerance or are not finite, ExportFailedError where the draft's inputs are not 33 rows.
    """
    if any(len(tensor) != GOLDEN_ROWS for tensor in draft.golden_inputs.values()):
        raise ExportFailedError(f"{path.name}: golden inputs must have {GOLDEN_ROWS} rows")
    expected = _run_torch(draft)
    graph = OnnxRuntime(path)
    inputs = {name: tensor.numpy() for name, tensor in draft.golden_inputs.items()}
    for rows in BATCHES:
        found = graph.run({name: values[:rows] for name, values in inputs.items()})
        for name, values in found.items():
            _compare(f"{name} of {path.name} at batch {rows}", expected[name][:rows], values, draft.tolerance)
    return found


def _run_torch(draft: GraphDraft) -> Tensors:
    with torch.no_grad():
        outputs = draft.network.eval()(*draft.golden_inputs.values())
    tensors = outputs if isinstance(outputs, tuple) else (outputs,)
    return {name: tensor.numpy() for name, tensor in zip(draft.outputs, tensors, strict=True)}


def _compare(what: str, expected: np.ndarray, found: np.ndarray, tolerance: float) -> None:
    if expected.shape != found.shape:
        raise ParityFailedError(f"{what}: ONNX Runtime gives the shape {found.shape}, torch {expected.shape}")
    difference = float(np.abs(expected.astype(np.float64) - found).max())
    if not difference <= tolerance:  # also where it is not a number
        raise ParityFailedError(f"{what}: ONNX Runtime and torch differ by {difference:.3g}, more than {tolerance:g}")
