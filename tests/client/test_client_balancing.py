"""Several servers are one to a client: one that is about to stop is left, one that dies costs no unary call."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from client.scripted import Script, ScriptedText
from rhapsode.v1.text_pb2_grpc import add_TextServiceServicer_to_server
from rhapsode_client import AsyncClient, ChannelSettings, Client, RetryPolicy
from support import bundles
from support.names import names
from support.server import Process, process
from support.tally import answered, started_calls

LONG = 100  # seconds of draining, far more than a test takes
IN_A_ROW = 8  # calls that a server does not get, where two take turns
CALLS, TOKENS = 24, 1000


@contextmanager
def two(models: Path, *flags: str) -> Iterator[tuple[Process, Process]]:
    with ExitStack() as stack:
        yield stack.enter_context(process(models, *flags)), stack.enter_context(process(models, *flags))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    return folder


def drain(server: Process) -> None:
    """Begin its stop; it serves on for LONG seconds."""
    server.process.terminate()
    server.until_logged("draining")


@dataclass(frozen=True)
class Calls:
    """Calls for the list of models, of which each goes to one of two servers."""

    servers: tuple[Process, Process]
    call: Callable[[], object]

    def served(self) -> tuple[int, int]:
        """Call some times: how many calls came to each server, as their logs tell."""
        before = self._told()
        for _ in range(IN_A_ROW):
            self.call()
        while sum(after := self._told()) < sum(before) + IN_A_ROW:
            pass  # lines are written a little later
        return after[0] - before[0], after[1] - before[1]

    def until_left(self) -> None:
        """Call until the first server gets none of them any more; it ends with its drain at the latest."""
        while self.served() != (0, IN_A_ROW):
            pass

    def _told(self) -> tuple[int, int]:
        one, other = (answered(server, "ListModels") for server in self.servers)
        return one, other


def test_a_server_that_is_about_to_stop_is_left_while_it_serves(texts: Path) -> None:
    with two(texts, "--drain-delay", str(LONG)) as (one, other), Client([one.address, other.address]) as client:
        calls = Calls((one, other), client.models)
        while not all(calls.served()):
            pass
        drain(one)
        calls.until_left()
        assert one.process.poll() is None


def from_a_thread(client: AsyncClient) -> Callable[[], object]:
    """Asks for the list of models when it is called in a thread beside this event loop."""
    loop = asyncio.get_running_loop()
    return lambda: asyncio.run_coroutine_threadsafe(client.models(), loop).result()


async def test_so_does_the_asynchronous_client(texts: Path) -> None:
    with two(texts, "--drain-delay", str(LONG)) as (one, other):
        async with AsyncClient(f"{one.address},{other.address}") as client:
            calls = Calls((one, other), from_a_thread(client))
            while not all(await asyncio.to_thread(calls.served)):
                pass
            await asyncio.to_thread(drain, one)
            await asyncio.to_thread(calls.until_left)
            assert one.process.poll() is None


def test_the_only_server_is_not_left(texts: Path) -> None:
    with process(texts, "--drain-delay", str(LONG)) as server, Client(server.address) as client:
        client.models()
        drain(server)
        for _ in range(IN_A_ROW):
            client.models()
        assert started_calls(server, "Watch") == 0


async def test_a_crowd_on_one_connection_outlives_its_server(texts: Path) -> None:
    with two(texts, "--run-steps", "1") as (one, other):
        async with AsyncClient([one.address, other.address]) as client:

            async def text(seed: int) -> str:
                return (await client.generate_text("tiny-text", seed=seed, max_tokens=TOKENS)).text

            calls = Calls((one, other), from_a_thread(client))
            while not all(await asyncio.to_thread(calls.served)):
                pass
            crowd = [asyncio.create_task(text(seed)) for seed in range(CALLS)]
            while await asyncio.to_thread(started_calls, one, "GenerateText") < CALLS // 2:
                await client.models()  # so that pages are asked for less often
                assert not any(call.done() for call in crowd)
            one.process.kill()
            got = await asyncio.gather(*crowd)
            assert started_calls(other, "GenerateText") == CALLS
            assert got == list(await asyncio.gather(*(text(seed) for seed in range(CALLS))))


@contextmanager
def simple_server(script: Script, address: str = "127.0.0.1:0") -> Iterator[str]:
    """A server of texts and nothing else, without health; gives its address."""
    with futures.ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers, options=[("grpc.so_reuseport", 0)])
        add_TextServiceServicer_to_server(ScriptedText(script), server)
        port = server.add_insecure_port(address)
        server.start()
        try:
            yield f"{address.rpartition(':')[0]}:{port}"
        finally:
            server.stop(None).wait()


def test_servers_without_health_are_taken_as_healthy() -> None:
    one, other = Script(), Script()
    with simple_server(one) as first, simple_server(other) as second, Client([first, second]) as client:
        while not (one.requests and other.requests):
            client.tokenize("m", ["a"])


def test_a_server_that_comes_back_elsewhere_is_found_by_its_name() -> None:
    """As in a rolling update of Kubernetes, where gRPC by itself would look once in half a minute only."""
    one, other = Script(), Script()
    patient = ChannelSettings(retry=RetryPolicy(attempts=5, initial_backoff=2.0, max_backoff=4.0))
    with names("127.0.0.1") as known, ExitStack() as first:
        port = first.enter_context(simple_server(one)).rpartition(":")[2]
        address = f"dns://{known.server}/servers.test:{port}"
        with simple_server(other, f"127.0.0.2:{port}"), Client(address, patient) as client:
            client.tokenize("m", ["a"])
            assert (len(one.requests), len(other.requests)) == (1, 0)
            known.addresses[:] = ["127.0.0.2"]
            first.close()
            client.tokenize("m", ["a"], timeout=25)
    assert (len(one.requests), len(other.requests)) == (1, 1)
