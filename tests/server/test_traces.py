"""Spans, seen in memory: whatever becomes of an rpc, its spans end, once, and say how."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, Sampler
from opentelemetry.trace import StatusCode

from rhapsode.v1 import text_pb2
from rhapsode_server.observe.otel import OpenTelemetryTraces
from rhapsode_server.observe.span_export import GivenIds, Outlet
from rhapsode_server.observe.span_losses import SpanLosses
from rhapsode_server.observe.trace_context import TraceContext
from support.requests import ENDLESS, PATIENT, beside_an_unread_text, generate_text, text
from support.server import Loaded, running

STREAM = "rhapsode.v1.TextService/StreamText"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WAITS = 'rhapsode_queue_depth{model="tiny-text",role="step",version="1"} 1.0'
PARENT = TraceContext(TRACE, SPAN, sampled=True)


def no_news(event: str, fields: Mapping[str, object]) -> None:
    """Nobody listens."""


class Memory:
    """Traces that stay here."""

    def __init__(self, sampler: Sampler = DEFAULT_ON, continues: bool = True) -> None:
        self._exporter = InMemorySpanExporter()
        ids = GivenIds()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False, id_generator=ids)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.traces = OpenTelemetryTraces(Outlet(provider, ids, SpanLosses(no_news)), "0", continues, grace=60)

    def spans(self) -> Sequence[ReadableSpan]:
        """All spans, after the last one."""
        self.traces.close()
        return self._exporter.get_finished_spans()


def told(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


def by_name(spans: Sequence[ReadableSpan]) -> dict[str, list[ReadableSpan]]:
    return {name: [span for span in spans if span.name == name] for name in {span.name for span in spans}}


async def test_a_job_that_never_ran_has_a_wait_and_no_run(loaded: Loaded) -> None:
    memory = Memory()
    async with running(loaded, memory.traces, slots=1, **PATIENT) as server, beside_an_unread_text(server):
        waits = server.text.GenerateText(text_pb2.GenerateTextRequest(generation=text(3)))
        while WAITS not in await server.page():
            await asyncio.sleep(0)
        waits.cancel()
        while not (lines := [line for line in server.log_lines() if line["msg"] == "rpc"]):
            await asyncio.sleep(0)
    assert (lines[0]["grpc_code"], lines[0]["queue_ms"] > 0) == ("Canceled", True)
    found = by_name(memory.spans())
    (left,) = found["rhapsode.v1.TextService/GenerateText"]
    assert told(left)["rpc.response.status_code"] == "CANCELLED"
    assert left.context is not None
    mine = [span for span in found["queue"] if span.parent and span.parent.span_id == left.context.span_id]
    assert len(mine) == 1
    assert "run" not in found, "the text that ran is no rpc's"


async def test_a_stream_that_the_server_cuts_off_ends_its_span_once(loaded: Loaded) -> None:
    memory = Memory()
    async with running(loaded, memory.traces, grace=0, max_tokens=ENDLESS) as server:
        call = server.text.StreamText(text_pb2.StreamTextRequest(generation=text(ENDLESS)))
        await call.read()
    (served,) = by_name(memory.spans())[STREAM]
    assert served.status.status_code in (StatusCode.ERROR, StatusCode.UNSET)
    assert told(served)["rpc.response.status_code"] in ("UNAVAILABLE", "CANCELLED")


async def test_log_lines_name_a_trace_that_is_not_kept(loaded: Loaded) -> None:
    memory = Memory(ALWAYS_OFF)
    async with running(loaded, memory.traces) as server:
        await generate_text(server, text(3))
        while not (lines := [line for line in server.log_lines() if line["msg"] == "rpc"]):
            await asyncio.sleep(0)
        assert len(lines[0]["trace_id"]) == 32
    assert not memory.spans()


def test_a_failed_run_says_why() -> None:
    memory = Memory()
    lane = memory.traces.lane("m", 1, "step")
    lane.ran([PARENT, None, PARENT], 0.5, rows=3, steps=2, failure="RUN_FAILED")
    lane.ran([None], 0.5, rows=1, steps=1, failure=None)
    (run,) = memory.spans()
    assert (run.status.status_code, told(run)["error.type"]) == (StatusCode.ERROR, "RUN_FAILED")
    assert (run.end_time or 0) - (run.start_time or 0) == 500_000_000
    assert [f"{link.context.span_id:016x}" for link in run.links] == [SPAN]


def test_links_are_bounded() -> None:
    memory = Memory()
    crowd = [TraceContext(TRACE, f"{number:016x}", sampled=True) for number in range(1, 1001)]
    memory.traces.lane("m", 1, "step").ran(crowd, 0.1, rows=1000, steps=1, failure=None)
    (run,) = memory.spans()
    assert len(run.links) == 128


def test_a_callers_trace_is_left_alone_where_it_is_not_to_be_gone_on_with() -> None:
    memory = Memory(continues=False)
    memory.traces.rpc("a.B/C", (("traceparent", f"00-{TRACE}-{SPAN}-01"),), "unix:").end("OK", {})
    (span,) = memory.spans()
    assert span.parent is None


@pytest.mark.parametrize(
    ("peer", "address", "port"),
    [
        ("ipv4:10.0.0.7:5000", "10.0.0.7", 5000),
        ("ipv6:%5B::1%5D:5000", "::1", 5000),
        ("ipv6:[fe80::1%25eth0]:80", "fe80::1%eth0", 80),
        ("unix:", None, None),
        ("unknown", None, None),
    ],
)
def test_a_client_is_told_by_its_address(peer: str, address: str | None, port: int | None) -> None:
    memory = Memory()
    memory.traces.rpc("a.B/C", (), peer).end("OK", {})
    (span,) = memory.spans()
    assert (told(span).get("client.address"), told(span).get("client.port")) == (address, port)


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (" " * 513, {}),
        ("nonsense,,=", {}),
        ("a=1" + "x" * 600, {}),
        (",".join(f"{name}={name * 250}" for name in "abc"), {}),
    ],
)
def test_a_state_is_kept_where_it_is_one_and_short(state: str, kept: dict[str, str]) -> None:
    memory = Memory()
    memory.traces.rpc("a.B/C", (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", state)), "unix:").end("OK", {})
    (span,) = memory.spans()
    assert span.context is not None
    assert dict(span.context.trace_state) == kept
    assert span.parent is not None
