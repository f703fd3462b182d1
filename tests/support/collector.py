"""A receiver of OpenTelemetry's spans, over gRPC and over HTTP, as a collector is."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Seen:
    """A span that has arrived; ids in hexadecimal."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    server: bool
    failed: bool
    seconds: float
    told: Mapping[str, str | int | float]
    events: tuple[str, ...]
    links: tuple[str, ...]
    service: str


@dataclass
class Collector:
    """Keeps all spans that came; `endpoint` is where they are sent to."""

    endpoint: str
    arriving: "SimpleQueue[Seen]" = field(default_factory=SimpleQueue)
    spans: list[Seen] = field(default_factory=list)

    def until(self, enough: Callable[[list[Seen]], bool]) -> list[Seen]:
        """Wait for spans until there are enough: all of them."""
        while not enough(self.spans):
            self.spans.append(self.arriving.get(timeout=PATIENCE))
        return self.spans

    def so_far(self) -> list[Seen]:
        """All spans that have come, without waiting."""
        while not self.arriving.empty():
            self.spans.append(self.arriving.get())
        return self.spans

    def trace(self, trace_id: str, *names: str) -> list[Seen]:
        """Wait until a trace has spans of these names: all that it has."""

        def of_trace(spans: list[Seen]) -> list[Seen]:
            return [span for span in spans if span.trace_id == trace_id]

        return of_trace(self.until(lambda spans: {*names} <= {span.name for span in of_trace(spans)}))

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep what an exporter sends."""
        for resource in request.resource_spans:
            service = str(_values(resource.resource.attributes).get("service.name"))
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.arriving.put(_seen(span, service))


@contextmanager
def over_grpc() -> Iterator[Collector]:
    """Receive on a free port over gRPC."""
    collector = Collector("")

    class Receiver(TraceServiceServicer):
        def Export(  # noqa: N802 - the name in the .proto
            self, request: ExportTraceServiceRequest, context: object
        ) -> ExportTraceServiceResponse:
            collector.take(request)
            return ExportTraceServiceResponse()

    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        add_TraceServiceServicer_to_server(Receiver(), server)  # type: ignore[no-untyped-call]  # generated
        collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield collector
        finally:
            server.stop(None).wait()


@contextmanager
def over_http() -> Iterator[Collector]:
    """Receive on a free port over HTTP."""
    collector = Collector("")

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.take(ExportTraceServiceRequest.FromString(body))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        collector.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _seen(span: Span, service: str) -> Seen:
    return Seen(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        server=span.kind == Span.SPAN_KIND_SERVER,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        told=_values(span.attributes),
        events=tuple(event.name for event in span.events),
        links=tuple(link.span_id.hex() for link in span.links),
        service=service,
    )


def _values(pairs: Iterable[KeyValue]) -> dict[str, str | int | float]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> str | int | float:
    kind = value.WhichOneof("value")
    found: str | int | float = getattr(value, kind) if kind else ""
    return found
