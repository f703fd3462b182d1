"""A real Prometheus scrapes a server that works, and its queries find what happened."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from rhapsode.v1 import text_pb2
from support.prometheus import Prometheus, needs_prometheus, prometheus
from support.requests import text
from support.server import Loaded, Running, running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, metrics_address="127.0.0.1:0") as started:
        yield started


@needs_prometheus
async def test_prometheus_scrapes_a_server(server: Running) -> None:
    with prometheus([server.metrics_address]) as found:
        up = await asyncio.to_thread(found.until, 'up{job="rhapsode"} == 1')
        assert [each.labels["instance"] for each in up] == [server.metrics_address]

        tokens = 'rhapsode_items_generated_total{model="tiny-text"}'
        await asyncio.to_thread(found.until, f"{tokens} == 0")
        call = server.text.StreamText(
            text_pb2.StreamTextRequest(generation=text(300)), metadata=(("traceparent", TRACEPARENT),)
        )
        assert [message async for message in call]
        moved = await asyncio.to_thread(found.until, f"increase({tokens}[1m]) > 0")
        assert moved[0].labels["kind"] == "token"

        quantile = "histogram_quantile(0.99, sum by (le) (rate(rhapsode_queue_wait_seconds_bucket[1m]))) > 0"
        assert len(await asyncio.to_thread(found.until, quantile)) == 1

        assert await asyncio.to_thread(trace_of, found, "grpc_server_handling_seconds_bucket") == TRACE


def trace_of(found: Prometheus, name: str) -> str:
    """The trace that the exemplars of a metric lead to, once there are any."""
    began = time.time() - 600
    while not (series := found.get("query_exemplars", query=name, start=str(began), end=str(began + 3600))):
        pass
    (trace,) = {each["labels"]["trace_id"] for one in series for each in one["exemplars"]}
    return str(trace)
