"""Several processes that are one server: one port, one page, no request lost when one of them dies."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rhapsode.v1 import text_pb2
from rhapsode.v1.model_pb2 import ListModelsRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support.bundles import stepper
from support.requests import text
from support.server import Process, clean_environment, command, process
from support.tally import answered, until_answered
from support.workers import alive, fresh_channel, handled, samples, workers

TWO = ("--workers", "2")


LONG = 60_000  # tokens: seconds of work


@pytest.fixture(scope="module")
def server(one_model: Path) -> Iterator[Process]:
    with process(one_model, *TWO) as started:
        yield started
        assert started.stop() == 0


def test_it_is_ready_when_all_workers_are(server: Process) -> None:
    assert len(workers(server)) == 2
    assert samples(server)["rhapsode_workers{}"] == 2


def test_the_supervisor_needs_neither_grpc_nor_onnx_runtime(server: Process) -> None:
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    assert [word for word in ("cygrpc", "onnxruntime", "numpy") if word in maps] == []


def test_what_both_counted_is_on_one_page(server: Process) -> None:
    before, said = handled(server, "ListModels"), answered(server, "ListModels")
    for _ in range(32):  # all on one worker: once in two billion times
        with fresh_channel(server.address) as channel:
            ModelServiceStub(channel).ListModels(ListModelsRequest())
    until_answered(server, "ListModels", said + 32)
    assert handled(server, "ListModels") == before + 32


def test_both_workers_give_the_same_bytes(server: Process) -> None:
    page = samples(server)
    assert page["rhapsode_workers{}"] == 2
    assert [value for name, value in page.items() if name.startswith("rhapsode_model_info{")] == [1]
    asked = text_pb2.GenerateTextRequest(generation=text(200))
    replies = set()
    for _ in range(16):
        with fresh_channel(server.address) as channel:
            replies.add(TextServiceStub(channel).GenerateText(asked).candidates[0].text)
    assert len(replies) == 1


def test_a_process_is_one_that_all_together_are(server: Process) -> None:
    page = samples(server)
    (status,) = [
        line for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines() if "VmRSS" in line
    ]
    assert page["process_resident_memory_bytes{}"] > 2 * 1024 * int(status.split()[1])
    assert page["rhapsode_worker_restarts_total{}"] == 0


def test_a_worker_that_hangs_does_not_hang_the_page(server: Process) -> None:
    hung = workers(server)[0]
    os.kill(hung, signal.SIGSTOP)
    try:
        assert samples(server)["rhapsode_workers{}"] == 2
    finally:
        os.kill(hung, signal.SIGCONT)


@pytest.mark.parametrize("flags", [("--workers", "2"), ("--workers", "1")])
def test_the_port_is_nobody_elses(server: Process, one_model: Path, flags: tuple[str, ...]) -> None:
    words = command("--models", str(one_model), "--address", server.address, "--metrics-address", "", *flags)
    done = subprocess.run(words, capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == 2
    assert f"address {server.address} cannot be listened on" in done.stderr
    assert "ready" not in done.stdout


def test_a_stop_finishes_the_streams_of_all_workers(one_model: Path) -> None:
    request = text_pb2.StreamTextRequest(generation=text(LONG))
    with process(one_model, *TWO, "--max-tokens", str(LONG), "--grace", "300") as server:
        crew = workers(server)
        channels = [fresh_channel(server.address) for _ in range(4)]
        calls = [TextServiceStub(channel).StreamText(request) for channel in channels]
        heads = [next(call) for call in calls]
        server.process.send_signal(signal.SIGTERM)
        whole = [[head, *call] for head, call in zip(heads, calls, strict=True)]
        assert server.process.wait(30) == 0
        for channel in channels:
            channel.close()
    told = [(line["worker"], line["msg"]) for line in server.rest() if line["msg"] in ("draining", "rpc")]
    assert len(told) == 4 + 2
    ended = [(place, worker) for place, (worker, message) in enumerate(told) if message == "rpc"]  # by one, or both
    assert all(told.index((worker, "draining")) < place for place, worker in ended)
    assert [len(messages[-1].finished) for messages in whole] == [1] * 4
    assert [pid for pid in crew if alive(pid)] == []


def test_a_second_signal_ends_all_at_once(one_model: Path) -> None:
    with process(one_model, *TWO, "--drain-delay", "600") as server:
        crew = workers(server)
        server.process.send_signal(signal.SIGTERM)
        for _ in crew:
            assert server.until_logged("draining")["worker"] in (1, 2)
        status = None
        while status is None:
            server.process.send_signal(signal.SIGTERM)
            status = server.process.poll()
        assert status == 128 + signal.SIGTERM
        while any(alive(pid) for pid in crew):
            pass


def test_workers_do_not_outlive_their_supervisor(one_model: Path) -> None:
    with process(one_model, *TWO, "--metrics-address", "") as server:
        assert server.metrics_address == ""
        crew = workers(server)
        server.process.kill()
        for _ in crew:
            server.until_logged("stopped")
        while any(alive(pid) for pid in crew):
            pass


@pytest.mark.parametrize(("content", "status"), [(b"garbage", 1), (None, 1)])
def test_what_keeps_workers_from_starting_is_said_once(tmp_path: Path, content: bytes | None, status: int) -> None:
    if content:
        (stepper().write(tmp_path) / "step.onnx").write_bytes(content)
    words = command("--models", str(tmp_path), "--address", "127.0.0.1:0", "--metrics-address", "", *TWO)
    done = subprocess.run(words, capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == status
    assert ("tiny-text" if content else "--models") in done.stderr
    assert len(done.stderr.splitlines()) == len(set(done.stderr.splitlines()))
    assert "Traceback" not in done.stderr
    assert '"ready"' not in done.stdout


def test_a_wrong_option_that_only_loading_finds_ends_with_2(one_model: Path) -> None:
    words = command("--models", str(one_model), "--address", "127.0.0.1:0", "--batch-buckets", "999", *TWO)
    done = subprocess.run(words, capture_output=True, text=True, env=clean_environment(), timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("--batch-buckets") == 1


def test_the_check_of_models_needs_one_process(one_model: Path) -> None:
    done = subprocess.run(
        command("--models", str(one_model), "--check", *TWO), capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0
    assert [json.loads(line).get("worker") for line in done.stdout.splitlines()] == [None] * 4
