"""Spans by OpenTelemetry's SDK; imported only where traces are asked for."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from urllib.parse import unquote

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from rhapsode_server.observe.rpcs import OTHER
from rhapsode_server.observe.span_export import Outlet
from rhapsode_server.observe.span_records import SpanRecord, SpanWriter
from rhapsode_server.observe.trace_context import TRACEPARENT, TRACESTATE, TraceContext, read_traceparent
from rhapsode_server.observe.traces import CountLoss, LaneSpans, Metadata, RpcSpan, Untraced, Value, sent

SCOPE = "rhapsode_server"
# What a server's span counts as a failure (semantic conventions for gRPC); the other codes are the client's business.
FAILURES = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
LONGEST_NAME = 128
LONGEST_STATE = 512  # W3C asks for no more to be passed on; to read one of kilobytes could take a good part of a second
TOLD = ("request_id", "model", "model_version", "items", "queue_ms", "reason")
"""What a span says of the fields that its rpc's log line has."""


class OpenTelemetryTraces:
    """Traces of one server. Spans are made in a thread, after the fact: the SDK takes some tens of µs for each."""

    def __init__(self, outlet: Outlet, version: str, continues: bool, grace: float) -> None:
        self._tracer = outlet.provider.get_tracer(SCOPE, version)
        self._sampler = outlet.provider.sampler
        self._ids = outlet.ids
        self._new_ids = RandomIdGenerator()
        self._losses = outlet.losses
        self._writer = SpanWriter(self._make, outlet.close, outlet.abort, grace, outlet.losses)
        self._continues = continues
        self._server: dict[str, Value] = {}

    def rpc(self, method: str, metadata: Metadata, peer: str) -> RpcSpan:
        """Begin a SERVER span below the client's span, or a trace of its own."""
        return self._open(method, metadata, {"rpc.method": method, **_client(peer)})

    def unknown(self, method: str, metadata: Metadata) -> RpcSpan:
        """The same for a method that there is not: names that clients make up must not become names of spans."""
        told = {"rpc.method": OTHER, "rpc.method_original": method[:LONGEST_NAME]}
        return self._open("grpc", metadata, told)

    def lane(self, model: str, version: int, role: str) -> LaneSpans:
        """The spans of one graph."""
        return _Lane(self._writer, {"rhapsode.model": model, "rhapsode.model_version": version, "rhapsode.role": role})

    def encoded(self, trace: TraceContext | None, seconds: float, form: str, pictures: int) -> None:
        """A span of the pictures' request."""
        if trace is not None and trace.sampled:
            told: dict[str, Value] = {"rhapsode.format": form, "rhapsode.pictures": pictures}
            self._writer.add(SpanRecord("encode", trace, time.time_ns(), seconds, told))

    def listens(self, address: str) -> None:
        """All spans to come bear the server's address."""
        if address.startswith("unix:"):
            self._server = {"server.address": address.removeprefix("unix:")}
        else:
            host, _, port = address.rpartition(":")
            self._server = {"server.address": host.strip("[]"), "server.port": int(port)}

    def count_losses(self, count: CountLoss) -> None:
        """Have spans that are lost counted there."""
        self._losses.count = count

    def close(self) -> None:
        """Hand over what there is, for `grace` seconds at most."""
        self._writer.close()

    def _open(self, name: str, metadata: Metadata, told: Mapping[str, Value]) -> RpcSpan:
        """Only what the rpc itself needs is settled now: its ids, and whether it is sampled."""
        parent = _parent(metadata) if self._continues else None
        trace_id = parent.trace_id if parent else f"{self._new_ids.generate_trace_id():032x}"
        known = {"rpc.system.name": "grpc", **told, **self._server}
        where = below(parent, remote=True) if parent else Context()
        found = self._sampler.should_sample(where, int(trace_id, 16), name, SpanKind.SERVER, known)
        own = TraceContext(
            trace_id,
            f"{self._new_ids.generate_span_id():016x}",
            found.decision is Decision.RECORD_AND_SAMPLE,
            parent.state if parent else "",
        )
        return (
            _OpenSpan(self._writer, SpanRecord(name, parent, 0, 0.0, known, own=own)) if own.sampled else Untraced(own)
        )

    def _make(self, record: SpanRecord) -> None:
        if record.own is None:
            self._write(record, SpanKind.INTERNAL)
        else:
            with self._ids.giving(int(record.own.trace_id, 16), int(record.own.span_id, 16)):
                self._write(record, SpanKind.SERVER)

    def _write(self, record: SpanRecord, kind: SpanKind) -> None:
        parent = below(record.parent, remote=record.own is not None) if record.parent else Context()
        links = [Link(_span_context(trace, remote=False)) for trace in record.links]
        began = record.ended - round(record.seconds * 1e9)
        span = self._tracer.start_span(record.name, parent, kind, record.told, links, began)
        for event, moment in record.events:
            span.add_event(event, timestamp=moment)
        if record.failure:
            span.set_attribute("error.type", record.failure)
            span.set_status(Status(StatusCode.ERROR))
        span.end(record.ended)


class _OpenSpan:
    """A SERVER span under way."""

    def __init__(self, writer: SpanWriter, record: SpanRecord) -> None:
        self._writer = writer
        self._record = record
        self._began = time.time_ns()
        self._events: list[tuple[str, int]] = []

    @property
    def context(self) -> TraceContext | None:
        return self._record.own

    def replied(self) -> None:
        self._events.append(("first message", time.time_ns()))

    def end(self, code: str, fields: Mapping[str, object]) -> None:
        ended = time.time_ns()
        if code == "CANCELLED":
            self._events.append(("cancelled", ended))
        told = {**self._record.told, "rpc.response.status_code": code}
        told.update({f"rhapsode.{name}": _plain(fields[name]) for name in TOLD if name in fields})
        done = replace(
            self._record,
            ended=ended,
            seconds=(ended - self._began) / 1e9,
            told=told,
            failure=code if code in FAILURES else None,
            events=tuple(self._events),
        )
        self._writer.add(done)


class _Lane:
    """Queue and run spans of one graph."""

    def __init__(self, writer: SpanWriter, told: Mapping[str, Value]) -> None:
        self._writer = writer
        self._told = told

    def queued(self, trace: TraceContext | None, seconds: float) -> None:
        if trace is not None and trace.sampled:
            self._writer.add(SpanRecord("queue", trace, time.time_ns(), seconds, self._told))

    def ran(
        self, traces: Iterable[TraceContext | None], seconds: float, rows: int, steps: int, failure: str | None
    ) -> None:
        """One span, in the trace of the first request, linked to the spans of all."""
        # A request has one and the same context wherever it goes: to compare what stands in it takes longer.
        shared = tuple({id(trace): trace for trace in traces if trace is not None and trace.sampled}.values())
        if shared:
            told = {**self._told, "rhapsode.rows": rows, "rhapsode.steps": steps}
            self._writer.add(SpanRecord("run", shared[0], time.time_ns(), seconds, told, shared, failure))


def below(trace: TraceContext, *, remote: bool) -> Context:
    """Where a span goes whose parent is the given one."""
    return api.set_span_in_context(NonRecordingSpan(_span_context(trace, remote=remote)), Context())


def _span_context(trace: TraceContext, *, remote: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(int(trace.trace_id, 16), int(trace.span_id, 16), remote, flags, state)


def _parent(metadata: Metadata) -> TraceContext | None:
    """The client's span; its state may come in several pieces."""
    read = read_traceparent(sent(metadata, TRACEPARENT))
    if read is None:
        return None
    state = ",".join(value for name, value in metadata if name == TRACESTATE and isinstance(value, str))
    return TraceContext(read.trace_id, read.span_id, read.sampled, state if len(state) <= LONGEST_STATE else "")


def _client(peer: str) -> dict[str, Value]:
    """The attributes of a client at gRPC's "ipv4:host:port", "ipv6:[host]:port" or "unix:path"."""
    kind, _, where = unquote(peer).partition(":")
    host, _, port = where.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not (port.isascii() and port.isdigit()):
        return {"network.transport": "unix"} if kind == "unix" else {}
    address = host.strip("[]")
    return {
        "client.address": address,
        "client.port": int(port),
        "network.peer.address": address,
        "network.peer.port": int(port),
    }


def _plain(value: object) -> Value:
    return value if isinstance(value, str | int | float) else str(value)
