"""A real Prometheus scrapes a server that works, and its queries find what happened."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.prometheus import needs_prometheus, prometheus
from support.requests import stream_text, text
from support.server import Loaded, Running, running


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, metrics_address="127.0.0.1:0") as started:
        yield started


@needs_prometheus
async def test_prometheus_scrapes_a_server(server: Running) -> None:
    with prometheus([server.metrics_address]) as found:
        up = await asyncio.to_thread(found.until, 'up{job="rhapsode"} == 1')
        assert [each.labels["instance"] for each in up] == [server.metrics_address]

        await asyncio.to_thread(found.until, 'rhapsode_items_generated_total{model="tiny-text"} == 0')
        await stream_text(server, text(300))
        moved = await asyncio.to_thread(
            found.until, 'increase(rhapsode_items_generated_total{model="tiny-text"}[1m]) > 0'
        )
        assert moved[0].labels["kind"] == "token"

        quantile = "histogram_quantile(0.99, sum by (le) (rate(rhapsode_queue_wait_seconds_bucket[1m]))) > 0"
        assert len(await asyncio.to_thread(found.until, quantile)) == 1
