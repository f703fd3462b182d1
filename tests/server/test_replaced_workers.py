"""Workers that end, hang or cannot be started: others take their place, and those that serve go on."""

import asyncio
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit
from threading import Event, Thread

import pytest
from prometheus_client import CollectorRegistry

from rhapsode.v1.model_pb2 import ListModelsRequest
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_client import Client
from rhapsode_server.config import Config
from rhapsode_server.observe.workers import Ledger
from rhapsode_server.serve.crew import Worker
from rhapsode_server.serve.messages import Command, Order, Report, Serving, Upwards, Word
from rhapsode_server.serve.worker import Listener
from support.bundles import stepper
from support.server import Loaded, Process, process, running
from support.tally import until_answered
from support.workers import alive, fresh_channel, handled, restless, samples, workers

TWO = ("--workers", "2")
FEW = 2  # workers that do not come to serve, and no more are tried
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
        until_answered(server, "ListModels", 9)
        assert handled(server, "ListModels") == 9
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
            server.until_logged("worker ready")
            assert handled(server, "ListModels") == 9


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


def test_a_worker_that_is_killed_before_it_serves_is_started_anew(one_model: Path) -> None:
    with process(one_model, *TWO, "--metrics-address", "") as server:
        os.kill(workers(server)[1], signal.SIGKILL)
        os.kill(server.until_logged("worker started")["pid"], signal.SIGKILL)
        assert server.until_logged("worker ended")["status"] == -signal.SIGKILL
        assert serves(server) == 8
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
