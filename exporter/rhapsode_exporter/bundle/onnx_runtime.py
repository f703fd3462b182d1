"""The one place where the exporter meets ONNX Runtime."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

Tensors = dict[str, NDArray[np.generic]]


class OnnxRuntime:
    """A graph on ONNX Runtime's CPU provider with one thread, so that a graph gives the same bits every time."""

    def __init__(self, path: Path) -> None:
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Tensors:
        """All outputs by name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def version() -> str:
    """The version of ONNX Runtime."""
    return str(_onnxruntime().__version__)


def _onnxruntime() -> ModuleType:
    # ONNX Runtime reads this when it is imported; telemetry is on by default in its newer releases.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    module: ModuleType = onnxruntime
    return module
