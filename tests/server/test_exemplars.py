"""Times of requests that belong to a sampled trace lead to it: on the page in OpenMetrics, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain
from prometheus_client.samples import Exemplar

from rhapsode.v1 import text_pb2
from support.requests import text
from support.server import Loaded, Running, running

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
EXEMPLARY = {
    "grpc_server_handling_seconds",
    "rhapsode_queue_wait_seconds",
    "rhapsode_run_seconds",
    "rhapsode_time_to_first_message_seconds",
}


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, metrics_address="127.0.0.1:0") as started:
        yield started


async def fetch(server: Running, accept: str) -> str:
    """The page over HTTP."""

    def read() -> str:
        with closing(HTTPConnection(server.metrics_address, timeout=30)) as connection:
            connection.request("GET", "/metrics", headers={"Accept": accept})
            return str(connection.getresponse().read(), "utf-8")

    return await asyncio.to_thread(read)


async def exemplars(server: Running) -> Iterator[tuple[str, Exemplar]]:
    """Those of the page in OpenMetrics, with the names of their metrics."""
    page = await fetch(server, "application/openmetrics-text")
    families = open_metrics(page)  # type: ignore[no-untyped-call]
    return (
        (family.name, sample.exemplar)
        for family in families
        for sample in family.samples
        if sample.exemplar is not None
    )


async def send(server: Running, traceparent: str) -> None:
    request = text_pb2.GenerateTextRequest(generation=text(3))
    await server.text.GenerateText(request, metadata=(("traceparent", traceparent),))


async def test_a_traced_request_leaves_its_trace_with_its_times(server: Running) -> None:
    await send(server, f"00-{TRACE}-{SPAN}-01")
    found = list(await exemplars(server))
    assert {name for name, _ in found} == EXEMPLARY
    for _, exemplar in found:
        assert exemplar.labels["trace_id"] == TRACE
        assert len(exemplar.labels["span_id"]) == len(SPAN)
        assert exemplar.value > 0


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{TRACE}-{SPAN}-00", f"00-{'0' * 32}-{SPAN}-01"])
async def test_a_trace_that_nobody_keeps_leaves_none(server: Running, traceparent: str) -> None:
    await send(server, traceparent)
    assert list(await exemplars(server)) == []


async def test_plain_text_has_none(server: Running) -> None:
    await send(server, f"00-{TRACE}-{SPAN}-01")
    page = await fetch(server, "text/plain")
    assert {family.name for family in plain(page)} > EXEMPLARY
    assert TRACE not in page
