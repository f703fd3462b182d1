"""One ONNX graph that can be run: arrays in, arrays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import RunFailed
from rhapsode_server.runtime.failures import failure

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


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output of a graph. None in `shape` is an axis whose size varies."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


class Resident:
    """A tensor that lies where a session computes."""

    def __init__(self, value: "ort.OrtValue") -> None:
        self.value = value

    def numpy(self) -> NDArray[Any]:
        """A copy in host memory. Raises RunFailed or DeviceLost."""
        try:
            array: NDArray[Any] = self.value.numpy()
        except Exception as error:  # as in a run
            raise failure(error) from error
        return array


class Session:
    """A graph loaded into ONNX Runtime.

    Every run goes through an IOBinding, on every provider: what a GPU needs is what the CPU tests. Several threads may
    run one session on the CPU; on a GPU only one may (a CUDA session has one stream).
    """

    def __init__(self, inner: "ort.InferenceSession") -> None:
        """Take a session whose inputs and outputs are tensors of the types of TensorInfo; else RunFailed."""
        self._inner = inner
        self.inputs: Mapping[str, TensorInfo] = _infos(inner.get_inputs())
        self.outputs: Mapping[str, TensorInfo] = _infos(inner.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run once: an array for each input by name, an array of its own for each output by name.

        Raises RunFailed where an input is missing, unknown, of another type or shape, and where a node fails;
        OutOfMemory where it asks for more than there is. The session can be used again afterwards, but not after
        DeviceLost.
        """
        return self.resident().run(feeds, {}, tuple(self.outputs), ())[0]

    def resident(self) -> "ResidentRuns":
        """Begin a series of runs whose outputs may stay where they were computed; for one thread at a time."""
        return ResidentRuns(self._inner, self.inputs)

    def __repr__(self) -> str:
        """Name the inputs and outputs."""
        return f"Session({', '.join(self.inputs)} -> {', '.join(self.outputs)})"


class ResidentRuns:
    """Runs of one graph, one after another: some outputs come to the host, others stay to be fed again."""

    def __init__(self, inner: "ort.InferenceSession", inputs: Mapping[str, TensorInfo]) -> None:
        self.inputs = inputs
        self._inner = inner
        self._binding = inner.io_binding()
        self._bound: dict[str, NDArray[Any] | Resident] = {}
        self._copies: dict[str, NDArray[Any]] = {}
        # Where outputs stay: the memory of the provider that the session runs on.
        cuda = inner.get_provider_options().get("CUDAExecutionProvider")
        self._device = ("cuda", int(cuda["device_id"])) if cuda else ("cpu", 0)

    def run(
        self,
        feeds: Mapping[str, NDArray[Any]],
        resident: Mapping[str, Resident],
        outputs: Sequence[str],
        staying: Sequence[str],
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Resident]]:
        """Run once: `outputs` as arrays of their own, `staying` as tensors that stay; no other output is computed.

        An array that is fed again, the same object, is not bound again: it must not have been changed. Raises RunFailed
        as Session.run.
        """
        self._check(feeds, resident)
        binding = self._binding
        try:
            self._bind(feeds)
            self._bind(resident)
            binding.clear_binding_outputs()
            for name in outputs:
                binding.bind_output(name, "cpu")
            for name in staying:
                binding.bind_output(name, *self._device)
            self._inner.run_with_iobinding(binding)
            given = binding.get_outputs()
            arrays = {name: value.numpy() for name, value in zip(outputs, given, strict=False)}
        except Exception as error:  # ONNX Runtime's errors have no common base below Exception
            self._binding, self._bound = self._inner.io_binding(), {}
            raise failure(error) from error
        return arrays, {name: Resident(value) for name, value in zip(staying, given[len(outputs) :], strict=True)}

    def _bind(self, inputs: Mapping[str, NDArray[Any]] | Mapping[str, Resident]) -> None:
        for name, values in inputs.items():
            if self._bound.get(name) is values:
                continue
            if isinstance(values, Resident):
                self._binding.bind_ortvalue_input(name, values.value)
            else:
                # The binding points into the array: a copy that it needs has to live as long.
                self._copies[name] = np.ascontiguousarray(values)
                self._binding.bind_cpu_input(name, self._copies[name])
            self._bound[name] = values

    def _check(self, feeds: Mapping[str, NDArray[Any]], resident: Mapping[str, Resident]) -> None:
        # ONNX Runtime starts a bound run even where an input was never bound, and leaves it to each kernel to notice.
        if feeds.keys() | resident.keys() != self.inputs.keys():
            raise RunFailed(f"the graph takes {sorted(self.inputs)}, it was given {sorted({*feeds, *resident})}")
        for name, values in feeds.items():
            if values.dtype != self.inputs[name].dtype:
                raise RunFailed(f"input {name} is {self.inputs[name].dtype}, it was given {values.dtype}")


def _infos(nodes: "list[ort.NodeArg]") -> Mapping[str, TensorInfo]:
    return MappingProxyType({node.name: _info(node) for node in nodes})


def _info(node: "ort.NodeArg") -> TensorInfo:
    if node.type not in _DTYPES:
        raise RunFailed(f"tensor {node.name} has the type {node.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorInfo(node.name, _DTYPES[node.type], shape)
