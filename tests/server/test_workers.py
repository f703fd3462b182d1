"""Several processes that are one server: one port, one page, no request lost when one of them dies."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit
from threading import Event, Thread

import grpc
import pytest
from prometheus_client import CollectorRegistry

from rhapsode.v1 import text_pb2
from rhapsode.v1.model_pb2 import ListModelsRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_client import Client
from rhapsode_server.config import Config
from rhapsode_server.observe.workers import Ledger
from rhapsode_server.serve.crew import Worker
from rhapsode_server.serve.messages import Command, Order, Report, Serving, Upwards, Word
from rhapsode_server.serve.worker import Listener
from support.bundles import stepper
from support.certificates import authority
from support.requests import text
from support.server import Loaded, Process, clean_environment, command, process, running
from support.workers import alive, fresh_channel, handled, restless, samples, settled, workers

TWO = ("--workers", "2")


FEW = 2  # workers that do not come to serve, and no more are tried
LONG = 60_000  # tokens: three times what a connection carries to a client that does not read
HASTY = f"""
from rhapsode_server.main import main
from rhapsode_server.serve import roster
roster.HOPELESS, roster.LONGEST_PAUSE, roster.SILENT = {FEW}, 0.1, 6.0
main()
"""


def serves(server: Process) -> int:
    """How many of 8 requests on connections of their own are answered."""
    answered = 0
    for _ in range(8):
        with fresh_channel(server.address) as channel:
            request = ListModelsRequest()
            answered += len(ModelServiceStub(channel).ListModels(request, wait_for_ready=True, timeout=30).models)
    return answered


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one-model")
    stepper().write(folder)
    return folder


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
    before = handled(server, "ListModels")
    for _ in range(32):  # all on one worker: once in two billion times
        with fresh_channel(server.address) as channel:
            ModelServiceStub(channel).ListModels(ListModelsRequest())
    settled(server, "grpc_server_handled_total{OK,ListModels,rhapsode.v1.ModelService,unary}", before + 32)


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


def test_a_killed_worker_is_replaced_and_its_clients_see_nothing_of_it(one_model: Path) -> None:
    enough = Event()

    def ask(address: str) -> int:
        made = 0
        with Client(address) as client:
            while not enough.is_set():
                made += len(client.generate_text("tiny-text", "the ", seed=7, max_tokens=8).candidates)
        return made

    with process(one_model, *TWO) as server, ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, server.address) for _ in range(6)]
        try:
            first = workers(server)
            restless(server, "GenerateText")
            os.kill(first[0], signal.SIGKILL)
            assert server.until_logged("worker ended")["status"] == -signal.SIGKILL
            assert server.until_logged("worker ready")["worker"] == 1
            restless(server, "GenerateText")
        finally:
            enough.set()
        assert all(each.result(30) > 0 for each in asking)
        assert first[1] in workers(server)
        assert len(workers(server)) == 2
        assert samples(server)["rhapsode_worker_restarts_total{}"] == 1
        assert server.stop() == 0


def test_what_a_dead_worker_counted_stays(one_model: Path) -> None:
    with process(one_model, *TWO) as server:
        with fresh_channel(server.address) as channel:
            for _ in range(9):
                ModelServiceStub(channel).ListModels(ListModelsRequest())
        settled(server, "grpc_server_handled_total{OK,ListModels,rhapsode.v1.ModelService,unary}", 9)
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
            server.until_logged("worker ready")
            assert handled(server, "ListModels") == 9


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
    assert all(told.index((worker, "draining")) < told.index((worker, "rpc")) for worker, _ in told)
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


def test_workers_that_cannot_come_up_again_end_the_server_when_none_serves(tmp_path: Path) -> None:
    folder = stepper().write(tmp_path)
    with process(tmp_path, *TWO, "--metrics-address", "", program=("-c", HASTY)) as server:
        good = (folder / "step.onnx").read_bytes()
        (folder / "step.onnx").write_bytes(b"garbage")
        os.kill(workers(server)[0], signal.SIGKILL)
        ends = [server.until_logged("worker ended") for _ in range(FEW + 1)]
        assert [end["worker"] for end in ends] == [1] * (FEW + 1)
        assert serves(server) == 8
        (folder / "step.onnx").write_bytes(good)
        assert server.until_logged("worker ready")["worker"] == 1
        (folder / "step.onnx").write_bytes(b"garbage")
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
        assert server.process.wait(60) == 1


def test_a_worker_that_hangs_is_replaced(one_model: Path) -> None:
    with process(one_model, *TWO, program=("-c", HASTY)) as server:
        hung = workers(server)[0]
        os.kill(hung, signal.SIGSTOP)
        assert server.until_logged("worker killed")["pid"] == hung
        assert server.until_logged("worker ready")["pid"] != hung
        assert not alive(hung)
        assert serves(server) == 8
        assert server.stop() == 0


async def test_a_worker_tells_whether_its_event_loop_turns(loaded: Loaded) -> None:
    ours, theirs = Pipe()
    listener = Listener(Upwards(theirs), patience=1e6)  # it would end this process

    def answer() -> list[Report]:
        """What it says when it is asked, all before this event loop has turned again."""
        ours.send(Command.TELL)
        return list(iter(ours.recv, Word.TOLD))

    async with running(loaded) as server:
        listener.serving(frozenset(["a"]), server.server, asyncio.Event())
        listener.start()
        assert ours.recv() == Serving(frozenset(["a"]))
        assert Word.TURNS in answer()
        assert Word.TURNS not in answer()
        assert Word.TURNS not in answer()
        await asyncio.sleep(0)
        assert Word.TURNS in answer()


def test_a_machine_without_room_for_a_new_worker_keeps_the_others(one_model: Path) -> None:
    with process(one_model, *TWO, "--metrics-address", "", program=("-c", HASTY)) as server:
        pid = server.process.pid
        before = prlimit(pid, RLIMIT_NOFILE)
        prlimit(pid, RLIMIT_NOFILE, (3, before[1]))
        os.kill(workers(server)[0], signal.SIGKILL)
        for _ in range(FEW + 1):
            assert server.until_logged("worker not started")["worker"] == 1
        assert serves(server) == 8
        prlimit(pid, RLIMIT_NOFILE, before)
        assert server.until_logged("worker ready")["worker"] == 1
        assert serves(server) == 8
        assert server.stop() == 0


def test_a_worker_that_nobody_can_listen_to_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = children.read_text()
    monkeypatch.setattr(Thread, "start", full)
    with pytest.raises(RuntimeError, match="thread"):
        Worker(Order(1, Config(), None), Ledger(CollectorRegistry(), lambda: None), print)
    assert children.read_text() == before


def test_a_worker_that_is_killed_while_it_loads_is_started_anew(one_model: Path, tmp_path: Path) -> None:
    ours = authority(tmp_path)
    chain, key = ours.certificate("localhost")
    tls = ("--tls-certificate", str(chain), "--tls-key", str(key))
    with process(one_model, *TWO, *tls, "--metrics-address", "") as server:
        good = chain.rename(tmp_path / "good")
        os.mkfifo(chain)
        os.kill(workers(server)[1], signal.SIGKILL)
        with chain.open("wb"):  # opens when it is opened for reading: now it loads
            os.kill(server.until_logged("worker started")["pid"], signal.SIGKILL)
            assert server.until_logged("worker ended")["status"] == -signal.SIGKILL
        address = f"localhost:{server.address.rpartition(':')[2]}"
        with grpc.secure_channel(address, ours.credentials()) as channel:
            assert ModelServiceStub(channel).ListModels(ListModelsRequest(), wait_for_ready=True, timeout=30).models
        good.replace(chain)
        assert server.until_logged("worker ready")["worker"] == 2
        assert server.stop() == 0


def test_a_worker_with_other_models_is_told_of(tmp_path: Path) -> None:
    stepper().write(tmp_path)
    with process(tmp_path, *TWO, "--metrics-address", "") as server:
        shutil.rmtree(tmp_path / "tiny-text")
        stepper(seed=2).write(tmp_path)
        os.kill(workers(server)[0], signal.SIGKILL)
        assert server.until_logged("worker has other models")["worker"] == 1
        assert server.stop() == 0


def test_the_check_of_models_needs_one_process(one_model: Path) -> None:
    done = subprocess.run(
        command("--models", str(one_model), "--check", *TWO), capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0
    assert [json.loads(line).get("worker") for line in done.stdout.splitlines()] == [None] * 3
