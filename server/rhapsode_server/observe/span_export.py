"""Where spans go, by the standard variables."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from rhapsode_server.observe.span_losses import SpanLosses, Tell
from rhapsode_server.observe.span_telling import CountedQueue, LastSaid, TellingExporter
from rhapsode_server.observe.traces_settings import TracesSettings

_SDK = "opentelemetry"


class GivenIds(RandomIdGenerator):
    """Gives a span the ids that were given out for it when its work began. For the one thread that makes spans."""

    def __init__(self) -> None:
        self._given: tuple[int, int] | None = None

    @contextmanager
    def giving(self, trace_id: int, span_id: int) -> Iterator[None]:
        """The span that is made meanwhile has these."""
        self._given = trace_id, span_id
        try:
            yield
        finally:
            self._given = None

    def generate_trace_id(self) -> int:
        """A trace's id: the given one, or a new one."""
        return self._given[0] if self._given else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """A span's id: the given one, or a new one."""
        return self._given[1] if self._given else super().generate_span_id()


@dataclass(frozen=True, slots=True)
class Outlet:
    """What gives tracers and exports their spans in threads; `close` waits for these, `abort` makes them give up."""

    provider: TracerProvider
    ids: GivenIds
    losses: SpanLosses
    exporters: Sequence[SpanExporter] = ()

    def close(self) -> None:
        """Export what there is."""
        self.provider.shutdown()

    def abort(self) -> None:
        """Give up on a collector that does not answer; what is left is lost."""
        for exporter in self.exporters:
            exporter.shutdown()


def open_outlet(settings: TracesSettings, version: str, warn: Tell, inform: Tell) -> Outlet:
    """Make the exporters. The SDK reads the process's own variables beside the settings.

    Raises whatever the SDK does where it cannot make sense of them.
    """
    last_said, losses = LastSaid(), SpanLosses(warn)
    logger = logging.getLogger(_SDK)
    logger.handlers[:], logger.propagate = [last_said], False  # its hundreds of lines would go to standard error
    ids = GivenIds()
    provider = TracerProvider(resource=_resource(settings, version), shutdown_on_exit=False, id_generator=ids)
    exporters = []
    for name in settings.exporters:
        inner = ConsoleSpanExporter(out=sys.stderr, formatter=_line) if name == "console" else _otlp(settings)
        exporters.append(TellingExporter(inner, last_said, losses, warn, inform))
        provider.add_span_processor(CountedQueue(exporters[-1], settings.queue_size, losses))
    return Outlet(provider, ids, losses, exporters)


def _otlp(settings: TracesSettings) -> SpanExporter:
    if settings.protocol == "grpc":
        packing = grpc.Compression.Gzip if settings.compressed else grpc.Compression.NoCompression
        return over_grpc.OTLPSpanExporter(compression=packing)
    return over_http.OTLPSpanExporter(
        compression=Compression.Gzip if settings.compressed else Compression.NoCompression
    )


def _resource(settings: TracesSettings, version: str) -> Resource:
    """What the operator says of the service, with its name and version where he says none."""
    told = Resource.create()
    ours = {SERVICE_VERSION: version} if SERVICE_VERSION not in told.attributes else {}
    return told.merge(Resource(ours if settings.named else {SERVICE_NAME: "rhapsode", **ours}))


def _line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"
