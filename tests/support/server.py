"""Real servers for tests: in this process on a unix socket, or as a process of their own."""

import asyncio
import io
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from deploy.child import Child, child, saying
from deploy.local_server import environment
from prometheus_client import generate_latest

from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_server.config import Config
from rhapsode_server.observe.logs import open_log
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.repository import registry
from rhapsode_server.repository.registry import Batching, Registry
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from rhapsode_server.serve.life import Server

if TYPE_CHECKING:
    from rhapsode.v1.image_pb2_grpc import ImageServiceAsyncStub
    from rhapsode.v1.model_pb2_grpc import ModelServiceAsyncStub
    from rhapsode.v1.text_pb2_grpc import TextServiceAsyncStub

MODULE = ("-m", "rhapsode_server.main")
clean_environment = environment
LogLine: TypeAlias = dict[str, Any]  # a line of JSON


@dataclass(frozen=True)
class Loaded:
    """Models that several servers of one process may serve."""

    runtime: Runtime
    models: Registry


def load(folder: Path) -> Loaded:
    """Load bundles on the CPU, with one thread a run."""
    runtime = Runtime(RuntimeOptions(provider="cpu", threads=1))
    return Loaded(runtime, registry.load(folder, runtime, Batching(max_batch=16)))


@dataclass(frozen=True)
class Running:
    """A server in this process, and a channel to it."""

    server: Server
    channel: grpc.aio.Channel
    address: str
    metrics_address: str
    log: io.StringIO = field(repr=False)

    @property
    def text(self) -> "TextServiceAsyncStub":
        return TextServiceStub(self.channel)

    @property
    def image(self) -> "ImageServiceAsyncStub":
        return ImageServiceStub(self.channel)

    @property
    def model(self) -> "ModelServiceAsyncStub":
        return ModelServiceStub(self.channel)

    async def page(self) -> str:
        """What the metrics endpoint would say, were it asked for the first time now."""
        return str(await asyncio.to_thread(generate_latest, self.server.registry), "utf-8")

    def log_lines(self) -> list[LogLine]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@asynccontextmanager
async def running(
    loaded: Loaded, traces: Traces = NO_TRACES, /, **settings: str | int | float
) -> AsyncIterator[Running]:
    """Serve on a fresh unix socket, with the given settings of Config and nothing to wait for in a stop."""
    with tempfile.TemporaryDirectory(prefix="rhapsode-") as folder:
        defaults: dict[str, str | int | float] = {
            "address": f"unix:{folder}/socket",
            "metrics_address": "",
            "max_batch": 16,
            "queue_wait": 86_400,  # crowds of the tests are slow on a slow machine
            "long_after": 0,  # and it would take chance to say what is long
            "drain_delay": 0,
            "grace": 5,
        }
        log = io.StringIO()
        config = Config.model_validate(defaults | settings)
        weight = str(settings.get("log_level", "info"))
        server = Server(config, loaded.runtime, loaded.models, open_log(weight, "json", "0", log), traces)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(server.address) as channel:
                yield Running(server, channel, server.address, server.metrics_address, log)
        finally:
            await server.stop()


@dataclass(frozen=True)
class Process:
    """A server as a process of its own, that has said that it is ready. Its output is read all the time."""

    child: Child
    address: str
    metrics_address: str

    @property
    def process(self) -> "subprocess.Popen[str]":
        """The process itself."""
        return self.child.process

    def stop(self, timeout: float = 30.0) -> int:
        """Send SIGTERM, and wait for the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def until_logged(self, message: str) -> LogLine:
        """Wait for the next log line with this message, behind the one that was given last."""
        return dict(json.loads(self.child.until(saying(message))))

    def rest(self) -> list[LogLine]:
        """Wait for its end: the log lines that nobody has waited for."""
        return [json.loads(line) for line in self.child.rest().splitlines() if line.startswith("{")]


@contextmanager
def process(
    models: Path, *flags: str, variables: Mapping[str, str] = MappingProxyType({}), program: Sequence[str] = MODULE
) -> Iterator[Process]:
    """Start rhapsode-server on free ports, and wait until it is ready; killed at the end if it still runs.

    `variables` are added to its environment; `program` are Python's arguments that run it.
    """
    words = command("--models", str(models), "--address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0", *flags)
    words[1 : 1 + len(MODULE)] = program
    with ready(words, clean_environment() | dict(variables)) as server:
        yield server


@contextmanager
def ready(words: list[str], environ: dict[str, str]) -> Iterator[Process]:
    """Start these words, and wait until they have logged that they are ready; killed at the end if they still run."""
    with child(words, environ) as started:
        said = json.loads(started.until(saying("ready")))
        yield Process(started, said["address"], said["metrics_address"])


def command(*flags: str) -> list[str]:
    """The words that start a small server, quick to stop."""
    quick = ("--provider", "cpu", "--threads", "1", "--max-batch", "16", "--drain-delay", "0", "--grace", "10")
    return [sys.executable, *MODULE, *quick, "--queue-wait", "86400", "--long-after", "0", *flags]
