"""What traces cost those who do the work: microseconds an rpc and a run, with traces, without, and not sampled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from timeit import timeit

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from rhapsode_server.observe.otel import OpenTelemetryTraces
from rhapsode_server.observe.span_export import GivenIds, Outlet
from rhapsode_server.observe.span_losses import SpanLosses
from rhapsode_server.observe.span_telling import CountedQueue, LastSaid, TellingExporter
from rhapsode_server.observe.trace_context import CURRENT, TraceContext
from rhapsode_server.observe.traces import NO_TRACES, LaneSpans, Loss, Metadata, Traces

ROUNDS, TIMES, QUEUE = 15, 500, 2048
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NO_PARENT = (("user-agent", "grpc-python/1.85.1"), ("x-request-id", "a-request"))
SAMPLED, UNSAMPLED = ((*NO_PARENT, ("traceparent", f"00-{TRACE}-{SPAN}-{flags}")) for flags in ("01", "00"))
FIELDS = {"request_id": "a-request", "model": "tiny", "model_version": 1, "items": 3, "queue_ms": 0.1}
Work = Callable[[Traces], Callable[[], None]]


class Nowhere(SpanExporter):
    """Takes spans and does nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS if spans else SpanExportResult.FAILURE


def no_news(event: str, fields: Mapping[str, object]) -> None:
    """Nobody listens."""


def must_not_be(loss: Loss, spans: int) -> None:
    raise RuntimeError(f"{spans} spans were lost ({loss}): to lose them costs another time")


@contextmanager
def fresh() -> Iterator[Traces]:
    """Traces to which nothing was handed yet."""
    ids, losses = GivenIds(), SpanLosses(no_news)
    losses.count = must_not_be
    exporter = TellingExporter(Nowhere(), LastSaid(), losses, no_news, no_news)
    provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(CountedQueue(exporter, QUEUE, losses))
    traces = OpenTelemetryTraces(Outlet(provider, ids, losses), "0", continues=True, grace=10)
    traces.listens("127.0.0.1:50051")
    yield traces
    traces.close()


def rpc(metadata: Metadata) -> Work:
    def of(traces: Traces) -> Callable[[], None]:
        def work() -> None:
            span = traces.rpc("rhapsode.v1.TextService/GenerateText", metadata, "ipv4:127.0.0.1:50000")
            CURRENT.set(span.context)
            span.replied()
            span.end("OK", FIELDS)

        return work

    return of


def untraced(work: Work) -> Work:
    return lambda _: work(NO_TRACES)


def run(rows: int, sampled: bool) -> Work:
    rows_of = [TraceContext(TRACE, f"{row + 1:016x}", sampled) for row in range(rows)]

    def of(traces: Traces) -> Callable[[], None]:
        lane = traces.lane("tiny", 1, "step")
        assert lane
        return partial(ran, lane, rows_of)

    return of


def ran(lane: LaneSpans, rows: Sequence[TraceContext]) -> None:
    lane.ran(iter(rows), 0.001, len(rows), 32, None)


def microseconds(work: Work) -> float:
    """The best of the rounds."""
    rounds = []
    for _ in range(ROUNDS):
        with fresh() as traces:
            rounds.append(timeit(work(traces), number=TIMES))
    return min(rounds) / TIMES * 1e6


def main() -> None:
    cases = {
        "rpc, no traces": untraced(rpc(NO_PARENT)),
        "rpc, no traces, traceparent": untraced(rpc(SAMPLED)),
        "rpc, not sampled": rpc(UNSAMPLED),
        "rpc, sampled, a root": rpc(NO_PARENT),
        "rpc, sampled, below its client's": rpc(SAMPLED),
        "run of 1, not sampled": run(1, sampled=False),
        "run of 64, not sampled": run(64, sampled=False),
        "run of 1": run(1, sampled=True),
        "run of 64": run(64, sampled=True),
    }
    for name, work in cases.items():
        print(f"{name}: {microseconds(work):.2f} µs")


if __name__ == "__main__":
    main()
