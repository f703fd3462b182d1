"""Where sessions run: a provider that cannot be had is refused, or left with a reason."""

import os
from typing import Literal

import numpy as np
import pytest

from rhapsode_server.errors import ProviderError, RunFailed
from rhapsode_server.runtime import probe
from rhapsode_server.runtime.ort import ort
from rhapsode_server.runtime.providers import CPU, CUDA, TENSORRT, Runtime, RuntimeOptions, provider_entries


def has_cuda() -> bool:
    return Runtime(RuntimeOptions()).placement.provider == CUDA


@pytest.fixture
def no_cuda() -> None:
    if has_cuda():
        pytest.skip("this machine has a GPU")


def test_telemetry_is_off() -> None:
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_the_cpu_needs_no_reason() -> None:
    runtime = Runtime(RuntimeOptions(provider="cpu", threads=2))
    assert (runtime.placement.provider, runtime.placement.fallback_reason) == (CPU, "")
    assert runtime.version == ort.__version__
    assert repr(runtime) == f"Runtime({CPU}, onnxruntime {ort.__version__})"


@pytest.mark.usefixtures("no_cuda")
def test_auto_falls_back_and_says_why(capfd: pytest.CaptureFixture[str]) -> None:
    placement = Runtime(RuntimeOptions(provider="auto")).placement
    assert placement.provider == CPU
    assert placement.fallback_reason.startswith(f"{CUDA} cannot be used: ")
    assert "/" not in placement.fallback_reason  # no paths for strangers: GetModel tells it
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_named_provider_is_not_replaced(provider: Literal["cuda", "tensorrt"]) -> None:
    with pytest.raises(ProviderError, match="--provider cpu"):
        Runtime(RuntimeOptions(provider=provider))


@pytest.mark.usefixtures("no_cuda")
def test_a_required_gpu_is_not_replaced() -> None:
    with pytest.raises(ProviderError, match="cannot be used"):
        Runtime(RuntimeOptions(provider="auto", require_gpu=True))


def test_a_required_gpu_contradicts_the_cpu() -> None:
    with pytest.raises(ProviderError, match="drop one"):
        Runtime(RuntimeOptions(provider="cpu", require_gpu=True))


@pytest.mark.gpu
def test_cuda_runs_the_probe() -> None:
    if not has_cuda():
        pytest.skip("ONNX Runtime runs no session on CUDA here")
    runtime = Runtime(RuntimeOptions(provider="cuda", require_gpu=True, gpu_memory_limit=2**30))
    probe.check(runtime.session(probe.graph()))


def test_cuda_is_set_for_the_same_bytes_every_time() -> None:
    entries = provider_entries(RuntimeOptions(device=3, gpu_memory_limit=2**30), TENSORRT)
    assert [name for name, _ in entries] == [TENSORRT, CUDA, CPU]
    assert entries[1][1] == {
        "device_id": "3",
        "use_tf32": "0",
        "cudnn_conv_algo_search": "DEFAULT",
        "gpu_mem_limit": str(2**30),
    }


@pytest.mark.parametrize("graph", [b"", b"garbage", probe.graph()[:-7]])
def test_what_is_no_graph_is_refused(graph: bytes) -> None:
    with pytest.raises(RunFailed, match="no session could be made"):
        Runtime(RuntimeOptions(provider="cpu")).session(graph)


def test_threads_do_not_change_the_bytes() -> None:
    x = np.linspace(-3, 3, 64 * 16, dtype=np.float32).reshape(64, 1, 4, 4)
    one, two = (
        Runtime(RuntimeOptions(provider="cpu", threads=threads)).session(probe.graph()).run({"x": x})["y"].tobytes()
        for threads in (1, 2)
    )
    assert one == two
