"""Whatever becomes of a server's outputs, it serves and stops as ever."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import grpc
import pytest
from deploy.child import Child, saying
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from rhapsode.v1 import text_pb2
from rhapsode.v1.model_pb2 import ListModelsRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support.bundles import stepper
from support.certificates import authority
from support.requests import text
from support.server import Process, clean_environment, command
from support.workers import samples, workers

ANYWHERE = ("--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0")
TWO = ("--workers", "2")
DROPPED = "rhapsode_log_lines_dropped_total{}"


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one-model")
    stepper().write(folder)
    return folder


@contextmanager
def started(words: list[str], output: int | IO[bytes]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(words, stdout=output, stderr=subprocess.PIPE, text=True, env=clean_environment()) as server:
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def unheard(
    models: Path, *flags: str, capacity: int = 4096, blocking: bool = True, before: tuple[str, ...] = ()
) -> Iterator[tuple[Process, IO[bytes]]]:
    """A server, and its standard output: a small pipe of which nothing is read after the line `ready`."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, capacity)
    os.set_blocking(writing, blocking)
    words = [*before, *command("--models", str(models), *ANYWHERE, *flags)]
    with os.fdopen(reading, "rb", buffering=0) as lines, started(words, writing) as server:
        os.close(writing)
        ready = saying("ready")
        said = json.loads(next(line for line in iter(lines.readline, b"") if ready(line.decode())))
        yield Process(Child(server), said["address"], said["metrics_address"]), lines


def ended_well(server: Process) -> None:
    """It stops when told to, and has complained of nothing."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.communicate(timeout=60)[1] == ""
    assert server.process.returncode == 0


def counted(server: Process, name: str, least: float) -> None:
    """Wait until the metrics page has so much of a sample."""
    value = -1.0
    while value < least:
        with suppress(RuntimeError):  # an old page, since many were asked for
            value = samples(server).get(name, -1.0)


def message(line: bytes) -> str:
    return str(json.loads(line)["msg"])


def listed(channel: grpc.Channel, timeout: float = 60) -> int:
    reply = ModelServiceStub(channel).ListModels(ListModelsRequest(), timeout=timeout, wait_for_ready=True)
    return len(reply.models)


def test_streams_are_finished_where_the_reader_of_the_log_has_gone(one_model: Path) -> None:
    with unheard(one_model) as (server, lines), grpc.insecure_channel(server.address) as channel:
        lines.close()
        stream = TextServiceStub(channel).StreamText(text_pb2.StreamTextRequest(generation=text(1500)))
        head = next(stream)
        server.process.send_signal(signal.SIGTERM)
        whole = [head, *stream]
        ended_well(server)
    assert sum(len(chunk.token_ids) for message in whole for chunk in message.chunks) == 1500


def test_lines_that_nobody_reads_are_counted(one_model: Path) -> None:
    with unheard(one_model) as (server, lines), grpc.insecure_channel(server.address) as channel:
        assert samples(server)[DROPPED] == 0
        lines.close()
        assert listed(channel) == 1
        counted(server, DROPPED, 1)
        ended_well(server)


def test_a_worker_is_replaced_where_the_reader_of_the_log_has_gone(one_model: Path) -> None:
    with unheard(one_model, *TWO) as (server, lines), grpc.insecure_channel(server.address) as channel:
        lines.close()
        os.kill(workers(server)[0], signal.SIGKILL)
        counted(server, "rhapsode_worker_restarts_total{}", 1)
        counted(server, "rhapsode_workers{}", 2)
        counted(server, DROPPED, 2)  # the supervisor's own lines: that one ended, another started
        assert listed(channel) == 1
        ended_well(server)


def test_a_probe_is_answered_where_its_line_cannot_be_written(one_model: Path) -> None:
    with unheard(one_model, "--log-level", "debug") as (server, lines):
        lines.close()
        with grpc.insecure_channel(server.address) as channel:
            stub: Any = HealthStub(channel)  # its stubs know no rpcs
            for _ in range(3):
                reply = stub.Check(HealthCheckRequest(), timeout=60)
                assert reply.status == HealthCheckResponse.SERVING
        ended_well(server)


@pytest.mark.parametrize("flags", [(), TWO])
@pytest.mark.parametrize("blocking", [True, False])
def test_an_output_that_nobody_reads_holds_up_nothing(one_model: Path, flags: tuple[str, ...], blocking: bool) -> None:
    with unheard(one_model, *flags, blocking=blocking) as (server, lines):
        with grpc.insecure_channel(server.address) as channel:
            for _ in range(100):  # a line each: several times what the pipe takes
                assert listed(channel) == 1
        ended_well(server)
        said = lines.read()
    assert len(said) <= 4096
    assert all(json.loads(line) for line in said.splitlines())


def test_all_that_waits_comes_whole_once_it_is_read(one_model: Path) -> None:
    with unheard(one_model, blocking=False) as (server, lines):
        with grpc.insecure_channel(server.address) as channel:
            for _ in range(100):
                assert listed(channel) == 1
        assert [message(next(lines)) for _ in range(100)] == ["rpc"] * 100
        server.process.send_signal(signal.SIGTERM)
        assert [message(line) for line in lines] == ["draining", "stopping", "stopped"]
        assert server.process.wait(60) == 0


def test_a_second_signal_ends_a_server_whose_output_nobody_reads(one_model: Path) -> None:
    with unheard(one_model, "--drain-delay", "600") as (server, _):
        with grpc.insecure_channel(server.address) as channel:
            for _ in range(100):
                assert listed(channel) == 1
        began = time.monotonic()
        while server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(0.1)
        assert server.process.returncode == 128 + signal.SIGTERM
        assert time.monotonic() - began < 30


def test_a_full_disk_under_the_log_keeps_nobody_from_starting(one_model: Path, tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/socket"
    words = command("--models", str(one_model), "--address", address, "--metrics-address", "")
    with Path("/dev/full").open("wb") as full, started(words, full) as server:
        with grpc.insecure_channel(address) as channel:
            assert listed(channel) == 1
        ended_well(Process(Child(server), address, ""))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_server_that_is_started_without_standard_descriptors(one_model: Path, tmp_path: Path, closed: str) -> None:
    address = f"unix:{tmp_path}/socket"
    words = command("--models", str(one_model), "--address", address, "--metrics-address", "")
    with started(["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *words], subprocess.DEVNULL) as server:
        with grpc.insecure_channel(address) as channel:
            assert listed(channel) == 1
        ended_well(Process(Child(server), address, ""))


def test_workers_that_are_started_without_standard_descriptors(one_model: Path) -> None:
    shell = ("/bin/sh", "-c", 'exec "$@" <&- 2>&-', "sh")
    with unheard(one_model, *TWO, capacity=1 << 16, before=shell) as (server, lines):
        with grpc.insecure_channel(server.address) as channel:
            assert listed(channel) == 1
        server.process.send_signal(signal.SIGTERM)
        said = [json.loads(line) for line in lines]
        assert server.process.wait(60) == 0
    assert [line["msg"] for line in said].count("stopped") == 3  # both workers and the supervisor: none was aborted


def test_a_wrong_option_is_no_message_on_standard_output(tmp_path: Path) -> None:
    words = command("--models", str(tmp_path / "none"), "--check")
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *words], stdout=subprocess.PIPE, env=clean_environment(), timeout=60
    )
    assert done.returncode in (1, 2)
    assert b"--models" not in done.stdout


def test_bad_connections_to_a_port_with_tls_write_nothing(one_model: Path, tmp_path: Path) -> None:
    ours = authority(tmp_path / "ours")
    chain, key = ours.certificate("localhost")
    with unheard(one_model, "--tls-certificate", str(chain), "--tls-key", str(key)) as (server, _):
        host, _, port = server.address.rpartition(":")
        for _ in range(3):
            with socket.create_connection((host, int(port)), timeout=60) as stranger:
                stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
                while stranger.recv(4096):
                    pass
        with grpc.secure_channel(f"localhost:{port}", ours.credentials()) as channel:
            assert listed(channel) == 1
        ended_well(server)
