"""The one place where the exporter meets ONNX Runtime."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rhapsode_exporter.errors import GraphFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

Tensors = dict[str, NDArray[np.generic]]
_FATAL_ONLY = 4


class OnnxRuntime:
    """A graph on ONNX Runtime's CPU provider with one thread, so that a graph gives the same bits every time.

    GraphFailedError where ONNX Runtime cannot load or run it; nothing is printed.
    """

    def __init__(self, model: Path | bytes) -> None:
        onnxruntime = _onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        with _typed():
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> Tensors:
        """All outputs by name."""
        names = [output.name for output in self._session.get_outputs()]
        with _typed():
            return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def version() -> str:
    """The version of ONNX Runtime."""
    return str(_onnxruntime().__version__)


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's errors have no common base below Exception
        raise GraphFailedError(" ".join(str(error).split())) from error


def _onnxruntime() -> ModuleType:
    # ONNX Runtime reads this when it is imported; telemetry is on by default in its newer releases.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    module: ModuleType = onnxruntime
    return module
