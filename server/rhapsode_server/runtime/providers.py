"""Where sessions run: chosen once, by really running one.

What was never run on a GPU: everything below that names CUDA or TensorRT. It was written after ONNX Runtime's
documentation and tested on the CPU provider only, where it must fall back with a reason or refuse.
"""

import contextlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from rhapsode_server.errors import DeviceLost, ProviderError, RunFailed
from rhapsode_server.runtime import probe
from rhapsode_server.runtime.failures import brief
from rhapsode_server.runtime.ort import ort
from rhapsode_server.runtime.session import Session

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_NAMES: Mapping[str, Literal["cpu", "cuda", "tensorrt"]] = MappingProxyType(
    {CPU: "cpu", CUDA: "cuda", TENSORRT: "tensorrt"}
)

_ERRORS_ONLY = 3
_FATAL_ONLY = 4

ProviderEntry = tuple[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class RuntimeOptions:
    """What the operator asked for.

    `auto` is CUDA where a session really runs on it, else the CPU with a reason; the other names are taken or refused.
    `gpu_memory_limit` is in bytes, None for no limit; `threads` are those of one session, at least 1.
    """

    provider: Literal["auto", "cuda", "cpu", "tensorrt"] = "auto"
    device: int = 0
    gpu_memory_limit: int | None = None
    threads: int = 1
    require_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where sessions run, by ONNX Runtime's name, and why it is not the preferred place (empty where it is)."""

    provider: str
    fallback_reason: str = ""


class Runtime:
    """Makes every session of the process alike.

    Raises ProviderError where the provider that was named, or any GPU under `require_gpu`, cannot be had.
    """

    def __init__(self, options: RuntimeOptions) -> None:
        if options.require_gpu and options.provider == "cpu":
            raise ProviderError("a GPU is required, yet the provider is cpu: drop one of the two")
        self._options = options
        self.version: str = ort.__version__
        self.placement = self._place()

    @property
    def options(self) -> RuntimeOptions:
        """With which another process runs where this one does, or not at all."""
        return replace(self._options, provider=_NAMES[self.placement.provider])

    def session(self, graph: bytes) -> Session:
        """Load a serialised ONNX model; RunFailed where ONNX Runtime refuses it, or runs it in another place."""
        return self._open(graph, self.placement.provider)

    def __repr__(self) -> str:
        """Name the provider and the version."""
        return f"Runtime({self.placement.provider}, onnxruntime {self.version})"

    def _place(self) -> Placement:
        preferred = {"cpu": CPU, "tensorrt": TENSORRT}.get(self._options.provider, CUDA)
        problem = self._problem(preferred)
        if not problem:
            return Placement(preferred)
        reason = f"{preferred} cannot be used: {problem}"
        if self._options.provider != "auto" or self._options.require_gpu:
            raise ProviderError(f"{reason}. Install the extra [cuda] and a driver, or take --provider cpu")
        if problem_of_cpu := self._problem(CPU):
            raise ProviderError(f"{CPU} cannot be used: {problem_of_cpu}")
        return Placement(CPU, reason)

    def _problem(self, provider: str) -> str:
        """Why no session runs on this provider, OutOfMemory (a RunFailed) included; empty where one does.

        The list of available providers names those that the wheel was built with, GPU or no GPU: only a session that
        was made, asked where it runs and run once can tell.
        """
        if provider not in ort.get_available_providers():
            return "this build of ONNX Runtime has no such provider"
        with _quiet():
            missing = "" if provider == CPU else _preload()
            try:
                probe.check(self._open(probe.graph(), provider))
            except (RunFailed, DeviceLost) as error:
                return missing or error.message
        return ""

    def _open(self, graph: bytes, provider: str) -> Session:
        try:
            inner = ort.InferenceSession(
                graph,
                _session_options(self._options.threads),
                providers=provider_entries(self._options, provider),
                enable_fallback=0,
            )
        except Exception as error:  # ONNX Runtime's errors have no common base below Exception
            raise RunFailed(f"no session could be made: {brief(error)}") from error
        inner._model_bytes = None  # a copy of all weights, kept for a fallback that is switched off
        if inner.get_providers()[0] != provider:
            raise RunFailed(f"ONNX Runtime gave {inner.get_providers()[0]} instead of {provider}")
        return Session(inner)


def provider_entries(options: RuntimeOptions, provider: str) -> Sequence[ProviderEntry]:
    """The provider with its options, then those that take what it leaves: TensorRT to CUDA, all to the CPU."""
    cuda = {
        "device_id": str(options.device),
        # Same seed, same bytes: TF32 rounds inputs to 10 bits, and an exhaustive search may pick another
        # algorithm after every restart.
        "use_tf32": "0",
        "cudnn_conv_algo_search": "DEFAULT",
    }
    if options.gpu_memory_limit is not None:
        cuda["gpu_mem_limit"] = str(options.gpu_memory_limit)
    entries: dict[str, list[ProviderEntry]] = {
        CPU: [],
        CUDA: [(CUDA, cuda)],
        TENSORRT: [(TENSORRT, {"device_id": str(options.device)}), (CUDA, cuda)],
    }
    return (*entries[provider], (CPU, {}))


def _session_options(threads: int) -> "ort.SessionOptions":
    options: Any = ort.SessionOptions()
    # What it calls an error it raises as well; on stderr it would quote the numbers of whoever asked.
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Batches change from run to run: a pattern would be planned and kept for every size that occurs.
    options.enable_mem_pattern = False
    options.use_deterministic_compute = True
    # What was checked as ONNX must not be loaded as something else: the bytes may be valid in both formats.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # A spinning thread takes its core from the models beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep ONNX Runtime's coloured complaints out of the log while we ask what it can do: we say the reason."""
    ort.set_default_logger_severity(_FATAL_ONLY)
    try:
        yield
    finally:
        ort.set_default_logger_severity(_ERRORS_ONLY)


def _preload() -> str:
    """Load CUDA's libraries where pip has put them; say which are missing, empty where none is."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        ort.preload_dlls()
    missing = re.findall(r"Failed to load (?:\S*/)?(lib[\w.+-]+)", printed.getvalue())
    return f"libraries not found: {', '.join(sorted(set(missing)))}" if missing else ""
