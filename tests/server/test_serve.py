"""A server's life, as a process: it starts whole or not at all, and stops without losing a request."""

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from rhapsode.v1 import text_pb2
from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_server import main
from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError
from rhapsode_server.observe.logs import open_log
from rhapsode_server.serve import loading
from rhapsode_server.serve.processors import share
from support.bundles import stepper
from support.refusals import refusal
from support.requests import text
from support.server import Loaded, clean_environment, command, process, running

Call: TypeAlias = "grpc.aio.UnaryStreamCall[text_pb2.StreamTextRequest, text_pb2.StreamTextResponse]"


async def test_streams_in_flight_are_finished_before_the_end(one_model: Path) -> None:
    with process(one_model) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            request = text_pb2.StreamTextRequest(generation=text(1500))
            calls = [TextServiceStub(channel).StreamText(request) for _ in range(8)]
            heads = [await head(call) for call in calls]
            server.process.send_signal(signal.SIGTERM)
            whole = [[first, *await rest(call)] for first, call in zip(heads, calls, strict=True)]
        assert await asyncio.to_thread(server.process.wait, 30) == 0
    for messages in whole:
        assert sum(len(chunk.token_ids) for message in messages for chunk in message.chunks) == 1500
        assert messages[-1].finished


async def head(call: Call) -> text_pb2.StreamTextResponse:
    (first,) = [message for message in [await call.read()] if isinstance(message, text_pb2.StreamTextResponse)]
    return first


async def rest(call: Call) -> list[text_pb2.StreamTextResponse]:
    messages = []
    while isinstance(message := await call.read(), text_pb2.StreamTextResponse):
        messages.append(message)
    return messages


async def test_what_the_grace_does_not_suffice_for_is_told_why(one_model: Path) -> None:
    with process(one_model, "--grace", "0.2", "--max-tokens", "1000000") as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            call = TextServiceStub(channel).StreamText(text_pb2.StreamTextRequest(generation=text(1_000_000)))
            await call.read()
            server.process.send_signal(signal.SIGINT)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refusal(caught.value).info.reason == "SHUTTING_DOWN"
        assert await asyncio.to_thread(server.process.wait, 30) == 0


async def test_while_it_drains_it_serves_on_and_is_not_ready(one_model: Path) -> None:
    with process(one_model, "--drain-delay", "600") as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            server.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(server.until_logged, "draining")
            assert (await ModelServiceStub(channel).ListModels(ListModelsRequest())).models
        began = time.monotonic()
        assert await asyncio.to_thread(insist, server.process) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 10


def insist(process: subprocess.Popen[str]) -> int:
    """Send SIGTERM until the process has ended."""
    while True:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.1)


async def test_a_signal_that_comes_twice_at_once_is_one_wish(one_model: Path) -> None:
    with process(one_model) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            call = TextServiceStub(channel).StreamText(text_pb2.StreamTextRequest(generation=text(1500)))
            first = await head(call)
            for _ in range(2):
                server.process.send_signal(signal.SIGTERM)
            messages = [first, *await rest(call)]
        assert await asyncio.to_thread(server.process.wait, 30) == 0
    assert messages[-1].finished


async def test_a_fallback_is_said_in_the_log_in_get_model_and_in_a_metric(one_model: Path) -> None:
    said = io.StringIO()
    config = Config(models=one_model, provider="auto", threads=1)
    runtime, models = loading.load(config, open_log("info", "json", "0", said))
    reason = runtime.placement.fallback_reason
    if not reason:
        pytest.skip("ONNX Runtime runs a session on CUDA here: there is nothing to fall back from")
    async with running(Loaded(runtime, models), metrics_address="127.0.0.1:0") as server:
        told = (await server.model.GetModel(GetModelRequest(model="tiny-text"))).model.runtime
        page = await server.page()
    assert json.loads(said.getvalue().splitlines()[0])["fallback_reason"] == reason
    assert (told.provider, told.provider_fallback_reason) == ("CPUExecutionProvider", reason)
    assert 'rhapsode_provider_fallback{provider="CPUExecutionProvider"} 1.0' in page


def test_a_bundle_is_named_before_it_is_loaded(one_model: Path) -> None:
    """So that the log of a process that ends without a word ends with the bundle that ended it."""
    said = io.StringIO()
    loading.load(Config(models=one_model, provider="cpu", threads=1), open_log("info", "json", "0", said))
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [line["msg"] for line in lines][-2:] == ["model loading", "model loaded"]
    assert (lines[-2]["model"], lines[-2]["model_version"]) == ("tiny-text", 1)


def test_a_server_leaves_no_socket_that_another_could_not_take(one_model: Path, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/socket"
    for _ in range(2):
        with process(one_model, "--address", address) as server:
            assert server.address == address
            with grpc.insecure_channel(address) as channel:
                assert ModelServiceStub(channel).ListModels(ListModelsRequest()).models
            assert server.stop() == 0


def test_check_loads_and_ends(one_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--check", "--models", str(one_model), "--provider", "cpu"], {}) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (lines[-1]["msg"], lines[-1]["models"]) == ("checked", 1)


@pytest.mark.parametrize("flags", [["--check"], []])
def test_a_broken_bundle_is_refused_and_nothing_is_served(
    flags: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = stepper().write(tmp_path)
    (folder / "step.onnx").write_bytes(b"garbage")
    assert main.run([*flags, "--models", str(tmp_path), "--provider", "cpu"], {}) == 1
    said = capfd.readouterr()
    assert "tiny-text" in said.err
    assert "Traceback" not in said.err
    assert '"ready"' not in said.out


def test_no_models_is_said_with_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--models", str(tmp_path), "--provider", "cpu"], {}) == 1
    assert "--models" in capfd.readouterr().err


def test_wrong_options_end_with_2_and_all_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--bogus", "--queue", "0"], {"RHAPSODE_NOTHING": "1"}) == 2
    said = capfd.readouterr().err
    assert all(word in said for word in ("--bogus", "--queue", "RHAPSODE_NOTHING"))


def test_a_gpu_that_is_required_and_not_there_ends_the_start(
    one_model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["--models", str(one_model), "--provider", "cpu", "--require-gpu"], {}) == 1
    assert "GPU" in capfd.readouterr().err


def test_the_version_and_the_settings_are_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"], {}) == 0
    assert capfd.readouterr().out.startswith("rhapsode-server ")
    assert main.run(["--print-config"], {"RHAPSODE_QUEUE": "7"}) == 0
    assert "RHAPSODE_QUEUE=7" in capfd.readouterr().out.splitlines()


@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_reader_of_the_settings_that_leaves_is_no_error(buffering: dict[str, str]) -> None:
    environ = {name: value for name, value in clean_environment().items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        words, env = command("--print-config"), environ | buffering
        done = subprocess.run(words, stdout=nobody, stderr=subprocess.PIPE, text=True, env=env, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("setting", ["address", "metrics_address"])
async def test_an_address_that_is_taken_is_a_wrong_option(loaded: Loaded, setting: str) -> None:
    async with running(loaded, address="127.0.0.1:0", metrics_address="127.0.0.1:0") as other:
        taken = getattr(other, setting)
        with pytest.raises(ConfigError, match=f"^--{setting.replace('_', '-')} {taken} cannot be listened on"):
            async with running(loaded, **{setting: taken}):
                pass


async def test_a_port_that_is_free_on_one_of_the_hosts_addresses_only_is_taken(loaded: Loaded) -> None:
    async with running(loaded, address="127.0.0.1:0") as other:
        half = f"localhost:{other.address.rpartition(':')[2]}"
        with pytest.raises(ConfigError, match=f"address {half} cannot be listened on: Address already in use"):
            async with running(loaded, address=half):
                pass


def test_a_port_that_is_taken_is_said_before_models_are_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert main.run(["--models", str(tmp_path / "none"), "--address", address], {}) == 2


async def test_a_socket_that_answers_is_not_taken_away(loaded: Loaded) -> None:
    async with running(loaded) as other:
        with pytest.raises(ConfigError, match="another process does"):
            async with running(loaded, address=other.address):
                pass
        async with grpc.aio.insecure_channel(other.address) as channel:
            assert (await ModelServiceStub(channel).ListModels(ListModelsRequest())).models


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)
def test_the_share_of_processors(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert share(tmp_path) == (expected or len(os.sched_getaffinity(0)))
