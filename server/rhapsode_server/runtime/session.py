"""One ONNX graph that can be run: arrays in, arrays out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import RunFailed

if TYPE_CHECKING:
    from rhapsode_server.runtime.ort import ort

_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        "tensor(float)": np.dtype(np.float32),
        "tensor(float16)": np.dtype(np.float16),
        "tensor(double)": np.dtype(np.float64),
        "tensor(int64)": np.dtype(np.int64),
        "tensor(int32)": np.dtype(np.int32),
        "tensor(uint8)": np.dtype(np.uint8),
        "tensor(bool)": np.dtype(np.bool_),
    }
)
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a graph. None in `shape` is an axis whose size varies."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class Session:
    """A graph loaded into ONNX Runtime.

    Every run goes through an IOBinding of its own, on every provider: what a GPU needs is what the CPU tests. Several
    threads may run one session on the CPU; on a GPU only one may (a CUDA session has one stream).
    """

    def __init__(self, inner: "ort.InferenceSession") -> None:
        """Take a session whose inputs and outputs are tensors of the types of TensorInfo; else RunFailed."""
        self._inner = inner
        self.inputs: Mapping[str, TensorInfo] = _infos(inner.get_inputs())
        self.outputs: Mapping[str, TensorInfo] = _infos(inner.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once: an array for each input by name, an array of its own for each output by name.

        Raises RunFailed where an input is missing, unknown, of another type or shape, and where a node fails. The
        session can be used again afterwards.
        """
        self._check(feeds)
        binding = self._inner.io_binding()
        try:
            for name, values in feeds.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(values))
            for name in self.outputs:
                binding.bind_output(name, "cpu")
            self._inner.run_with_iobinding(binding)
            return dict(zip(self.outputs, binding.copy_outputs_to_cpu(), strict=True))
        except Exception as error:  # ONNX Runtime's errors have no common base below Exception
            raise RunFailed(f"the graph could not be run: {brief(error)}") from error

    def _check(self, feeds: Mapping[str, NDArray[Any]]) -> None:
        # ONNX Runtime starts a bound run even where an input was never bound, and leaves it to each kernel to notice.
        if feeds.keys() != self.inputs.keys():
            raise RunFailed(f"the graph takes {sorted(self.inputs)}, it was given {sorted(feeds)}")
        for name, values in feeds.items():
            if values.dtype != self.inputs[name].dtype:
                raise RunFailed(f"input {name} is {self.inputs[name].dtype}, it was given {values.dtype}")

    def __repr__(self) -> str:
        """Name the inputs and outputs."""
        return f"Session({', '.join(self.inputs)} -> {', '.join(self.outputs)})"


def brief(error: Exception) -> str:
    """ONNX Runtime's message without paths and C++ signatures, at most 200 characters: fit for a log or a reply."""
    text = re.sub(r"(?<!\w)/\S+", "", str(error).split("Status Message:")[-1])
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : ", "", text)
    text = re.sub(r"(const )?[\w:*&<>]+ onnxruntime::[\w:<>]+\([^)]*\)( const)?( \[with [^\]]*\])?", "", text)
    return " ".join(text.split())[:_LONGEST_REASON] or type(error).__name__


def _infos(nodes: "list[ort.NodeArg]") -> Mapping[str, TensorInfo]:
    return MappingProxyType({node.name: _info(node) for node in nodes})


def _info(node: "ort.NodeArg") -> TensorInfo:
    if node.type not in _DTYPES:
        raise RunFailed(f"tensor {node.name} has the type {node.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorInfo(node.name, _DTYPES[node.type], shape)
