"""Every metric that the documents list moves when its cause occurs."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rhapsode.oip import inference_pb2
from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceStub
from rhapsode.v1 import image_pb2
from rhapsode.v1.text_pb2 import LogitBias, Sampling
from rhapsode_server.rpc.darkroom import WORKERS
from support.requests import (
    ENDLESS,
    PATIENT,
    beside_a_text,
    beside_an_unread_text,
    generate_images,
    generate_text,
    images,
    stream_text,
    text,
)
from support.server import Loaded, Running, running

if TYPE_CHECKING:
    from rhapsode.oip.inference_pb2_grpc import GRPCInferenceServiceAsyncStub

DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"
ROW = re.compile(r"^\| `(\w+)` \| (?:gauge|counter|histogram) \|", re.MULTILINE)
# What is said once, when the server starts.
FACTS = {
    "rhapsode_build_info",
    "rhapsode_connections_limit",
    "rhapsode_model_info",
    "rhapsode_model_load_seconds",
    "rhapsode_pool_threads",
    "rhapsode_provider_fallback",
    "rhapsode_slots",
    "rhapsode_tls_cert_expiry_timestamp_seconds",
    "rhapsode_workers",
}
ELSEWHERE = {
    "rhapsode_access_reload_failures_total",  # moves where a changed file is broken: test_access_rotation.py
    "rhapsode_log_lines_dropped_total",  # moves where nobody reads them: test_log_outputs.py
    "rhapsode_model_failed",  # moves where models are broken: test_living_metrics.py
    "rhapsode_model_load_failures_total",  # moves where models are broken: test_model_control.py
    "rhapsode_model_aliases_waiting",  # moves where a file names what is not served: test_living_metrics.py
    "rhapsode_models",  # moves where models come and go: test_living_metrics.py
    "rhapsode_run_failures_total",  # moves where runs fail: faults/test_out_of_memory.py
    "rhapsode_runs_taken_apart_total",  # moves where tensors end a run: test_hostile_tensors.py
    "rhapsode_ready",  # moves where an operator says so: test_admin_plane.py
    "rhapsode_spans_dropped_total",  # moves where traces fail: test_traces_export.py
    "rhapsode_tls_reload_failures_total",  # moves where a certificate is of no use: test_rotation.py
    "rhapsode_worker_restarts_total",  # moves where there are workers: test_workers.py
}
Values = Mapping[str, Mapping[str, float]]
"""By the name of a metric, as the documents have it: the value of each sample."""


class Watched:
    """A server, and what its page said from time to time."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self.seen: list[Values] = []

    async def look(self) -> Values:
        """What the page says now."""
        families = text_string_to_metric_families(await self.server.page())
        self.seen.append(
            {
                family.name + "_total" * (family.type == "counter"): {
                    f"{sample.name}{sorted(sample.labels.items())}": sample.value for sample in family.samples
                }
                for family in families
            }
        )
        return self.seen[-1]

    async def until(self, name: str) -> None:
        """Look until any sample of a metric has another value than at the first look."""
        while (await self.look())[name] == self.seen[0][name]:
            await asyncio.sleep(0)

    @property
    def moved(self) -> set[str]:
        """The metrics of which a sample has had two values."""
        return {name for values in self.seen for name in values if values[name] != self.seen[0][name]}


@asynccontextmanager
async def watched(loaded: Loaded, **settings: str | int | float) -> AsyncIterator[Watched]:
    patient = {"slots": 1, "queue": 1, **PATIENT}
    async with running(loaded, max_tokens=ENDLESS, **(patient | settings)) as server:
        made = Watched(server)
        await made.look()
        yield made


async def work(seen: Watched) -> None:
    """Text, pictures, a model that fails, and a stream of one request, which names none."""
    await stream_text(seen.server, text(300))
    await generate_images(seen.server, images(1, format=image_pb2.IMAGE_FORMAT_PNG))
    bias = Sampling(logit_bias=[LogitBias(token_id=27, bias=100)])
    with pytest.raises(grpc.aio.AioRpcError):
        await generate_text(seen.server, text(model="failing", sampling=bias))
    client: GRPCInferenceServiceAsyncStub = GRPCInferenceServiceStub(seen.server.channel)
    await client.ModelStreamInfer(iter([inference_pb2.ModelInferRequest()])).read()


async def crowd(seen: Watched) -> None:
    """One who is served, one who waits, one who is refused; then all leave."""
    async with beside_an_unread_text(seen.server):
        waits = asyncio.create_task(generate_text(seen.server, text(3)))
        await seen.until("rhapsode_queue_depth")
        with pytest.raises(grpc.aio.AioRpcError):
            await generate_text(seen.server, text(3))
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
    await seen.until("rhapsode_requests_cancelled_total")


async def slow_reader(seen: Watched, *moves: str) -> None:
    """More pictures than gRPC takes for a client that does not read them."""
    asked = images(100_000, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
    call = seen.server.image.StreamImages(image_pb2.StreamImagesRequest(generation=asked))
    await call.read()
    for name in moves:
        await seen.until(name)
    call.cancel()


async def parked(seen: Watched) -> None:
    """One who does not read, and is borne with."""
    await slow_reader(seen, "rhapsode_streams_stalled_total", "rhapsode_parked_jobs")


async def full_pool(seen: Watched) -> None:
    """More work than threads."""
    go = threading.Event()
    darkroom = seen.server.server._darkroom
    done = [asyncio.create_task(darkroom.outside(go.wait, 60)) for _ in range(WORKERS + 1)]
    await seen.until("rhapsode_pool_busy")
    await seen.until("rhapsode_pool_queued")
    go.set()
    await asyncio.gather(*done)


async def late(seen: Watched) -> None:
    """One whose deadline passes while another is served."""
    async with beside_a_text(seen.server):
        with suppress(grpc.aio.AioRpcError):
            while True:  # one whose reader is slow leaves its slot to others for a moment
                await generate_text(seen.server, text(3))  # names no deadline, so it gets the server's


async def test_every_metric_in_the_documents_moves(loaded: Loaded) -> None:
    async with watched(loaded, stall_timeout=600) as busy:
        for cause in (work, crowd, parked, full_pool):
            await cause(busy)
        await busy.until("rhapsode_event_loop_lag_seconds")
    async with watched(loaded, stall_timeout=1) as impatient:
        await slow_reader(impatient, "rhapsode_streams_given_up_total")
    async with watched(loaded, default_deadline=1) as hurried:
        await late(hurried)
        await hurried.until("rhapsode_expired_in_queue_total")
    documented = set(ROW.findall(DOCUMENT.read_text("utf-8")))
    assert documented - FACTS - ELSEWHERE - busy.moved - impatient.moved - hurried.moved == set()
    assert documented - busy.seen[-1].keys() == set()
    assert [name for name in sorted(FACTS) if not busy.seen[-1][name]] == []
