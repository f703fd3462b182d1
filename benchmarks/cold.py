"""A server from nothing: how soon it serves, and the memory that it and its streams take."""

import asyncio
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
from benchmarks.cases import TEXT_64, Figure
from benchmarks.cost import resident_bytes
from benchmarks.requests import stream
from benchmarks.served import STREAMS_A_CONNECTION, connected, measure
from benchmarks.sessions import bare_resident_bytes
from deploy.local_server import ServerFailedError, environment, program, running_server
from grpc_health.v1 import health_pb2

START = "start to SERVING, s"
RESIDENT = "resident memory, MB"
BARE = "resident memory of bare sessions, MB"
STREAM = "memory of an open stream, KB"
IDLE_STREAMS = 1_000
_IDLE_CASE = replace(TEXT_64, requests=IDLE_STREAMS, items=8_192)
_POLL_SECONDS = 0.002
STARTS_WITHIN = 120.0


def start_figures(models: Path, log: Path, flags: Sequence[str]) -> tuple[Figure, ...]:
    """Seconds from the start of the process to SERVING, and its memory then, beside that of bare sessions."""
    with tempfile.TemporaryDirectory() as folder, log.open("wb") as output:
        socket = Path(folder) / "grpc"
        begun = time.perf_counter()
        with server_process(models, socket, output.fileno(), flags) as process:
            wait_until_serving(socket)
            seconds, resident = time.perf_counter() - begun, resident_bytes(process.pid)
    return (
        Figure(START, seconds),
        Figure(RESIDENT, resident / 1e6),
        Figure(BARE, bare_resident_bytes(models) / 1e6),
    )


async def stream_figures(models: Path, log: Path, flags: Sequence[str]) -> tuple[Figure, ...]:
    """Memory that a server takes for an open stream: what it has more with IDLE_STREAMS of them than at its start.

    Each has given its first message and is not read any further. What a warm-up took counts too: its memory is used
    again, so what the streams add to it would be too little.
    """
    with running_server(models, log, *flags) as server:
        before = resident_bytes(server.process_id)
        await measure(server, TEXT_64, "served", 1)
        async with connected(server, IDLE_STREAMS) as channels:
            calls = [
                stream(channels[number // STREAMS_A_CONNECTION], _IDLE_CASE, number) for number in range(IDLE_STREAMS)
            ]
            await asyncio.gather(*(call.read() for call in calls))
            taken = resident_bytes(server.process_id) - before
            for call in calls:
                call.cancel()
    return (Figure(STREAM, taken / IDLE_STREAMS / 1e3),)


@contextmanager
def server_process(
    models: Path, socket: Path, output: int, flags: Sequence[str]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a server that listens on `socket` and writes its log to `output`; at the end it is stopped."""
    command = [program("rhapsode-server"), f"--models={models}", f"--address=unix:{socket}", "--metrics-address="]
    with subprocess.Popen(
        [*command, "--drain-delay=0", *flags], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment()
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def wait_until_serving(socket: Path) -> None:
    """Wait for SERVING. Raises ServerFailedError where the server does not listen in time."""
    until = time.monotonic() + STARTS_WITHIN
    while not socket.exists():
        if time.monotonic() > until:
            raise ServerFailedError(f"the server did not listen on {socket} within {STARTS_WITHIN:.0f} s")
        time.sleep(_POLL_SECONDS)
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        request = health_pb2.HealthCheckRequest()
        while check(request, wait_for_ready=True).status != health_pb2.HealthCheckResponse.SERVING:
            time.sleep(_POLL_SECONDS)
