"""What traces cost those who do the work: microseconds an rpc and a run, with traces, without, and not sampled."""

import timeit
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from rhapsode_server.observe.otel import OpenTelemetryTraces
from rhapsode_server.observe.span_export import GivenIds, Outlet
from rhapsode_server.observe.trace_context import CURRENT, TraceContext
from rhapsode_server.observe.traces import NO_TRACES, LaneSpans, Metadata, Traces

ROUNDS, TIMES = 15, 500  # a round hands over fewer spans than may wait
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NO_PARENT = (("user-agent", "grpc-python/1.85.1"), ("x-request-id", "a-request"))
SAMPLED, UNSAMPLED = ((*NO_PARENT, ("traceparent", f"00-{TRACE}-{SPAN}-{flags}")) for flags in ("01", "00"))
FIELDS = {"request_id": "a-request", "model": "tiny", "model_version": 1, "items": 3, "queue_ms": 0.1}


class Nowhere(SpanExporter):
    """Takes spans and does nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS if spans else SpanExportResult.FAILURE


def rpc(traces: Traces, metadata: Metadata) -> Callable[[], None]:
    def work() -> None:
        span = traces.rpc("rhapsode.v1.TextService/GenerateText", metadata, "ipv4:127.0.0.1:50000")
        CURRENT.set(span.context)
        span.replied()
        span.end("OK", FIELDS)

    return work


def run(lane: LaneSpans, rows: int, sampled: bool) -> Callable[[], None]:
    traces = [TraceContext(TRACE, f"{row + 1:016x}", sampled) for row in range(rows)]
    return lambda: lane.ran(iter(traces), 0.001, rows, 32, None)


def microseconds(work: Callable[[], None]) -> float:
    return min(timeit.repeat(work, number=TIMES, repeat=ROUNDS)) / TIMES * 1e6


def main() -> None:
    ids = GivenIds()
    provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    traces = OpenTelemetryTraces(Outlet(provider, ids), "0", continues=True, grace=10)
    traces.listens("127.0.0.1:50051")
    lane = traces.lane("tiny", 1, "step")
    cases = {
        "rpc, no traces": rpc(NO_TRACES, NO_PARENT),
        "rpc, no traces, traceparent": rpc(NO_TRACES, SAMPLED),
        "rpc, not sampled": rpc(traces, UNSAMPLED),
        "rpc, sampled, a root": rpc(traces, NO_PARENT),
        "rpc, sampled, below its client's": rpc(traces, SAMPLED),
        "run of 1, not sampled": run(lane, 1, sampled=False),
        "run of 64, not sampled": run(lane, 64, sampled=False),
        "run of 1": run(lane, 1, sampled=True),
        "run of 64": run(lane, 64, sampled=True),
    }
    for name, work in cases.items():
        print(f"{name}: {microseconds(work):.2f} µs")
    traces.close()


if __name__ == "__main__":
    main()
