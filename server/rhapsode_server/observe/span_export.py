"""Where spans go: exporters by the standard variables, whose failures are told in a line, not in hundreds."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from rhapsode_server.observe.traces_settings import TracesSettings

Tell = Callable[[str, Mapping[str, object]], object]  # a line's event and fields; safe from any thread

QUIET = 60.0  # seconds after a failure was told in which no news of exporting is told
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
    ids: "GivenIds"
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
    last_words = LastWords()
    logger = logging.getLogger(_SDK)
    logger.handlers[:], logger.propagate = [last_words], False  # its hundreds of lines would go to standard error
    ids = GivenIds()
    provider = TracerProvider(resource=_resource(settings, version), shutdown_on_exit=False, id_generator=ids)
    exporters = []
    for name in settings.exporters:
        inner = ConsoleSpanExporter(out=sys.stderr, formatter=_line) if name == "console" else _otlp(settings)
        exporters.append(TellingExporter(inner, last_words, warn, inform))
        provider.add_span_processor(BatchSpanProcessor(exporters[-1]))
    return Outlet(provider, ids, exporters)


class TellingExporter(SpanExporter):
    """Exports by another one; tells that it fails, and later that it works again."""

    def __init__(
        self,
        inner: SpanExporter,
        last_words: "LastWords",
        warn: Tell,
        inform: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._warn = warn
        self._inform = inform
        self._clock = clock
        self._lost = 0
        self._ended = False
        self._told_at: float | None = None
        self._last_words = last_words

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand spans over; those of a failure are lost."""
        try:
            result = self._inner.export(spans)
        except Exception as error:  # whatever it is, later spans may get through
            self._last_words.text = f"{type(error).__name__}: {error}"
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._succeeded()
        else:
            self._failed(len(spans))
        return result

    def shutdown(self) -> None:
        """Let the other one end, once; an export under way gives up."""
        if not self._ended:
            self._ended = True
            self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have the other one flush."""
        return self._inner.force_flush(timeout_millis)

    def _failed(self, count: int) -> None:
        self._lost += count
        if self._told_at is None:
            self._told_at = self._clock()
            self._warn("traces cannot be exported", {"reason": self._last_words.text, "spans": count})

    def _succeeded(self) -> None:
        if self._told_at is not None and self._clock() >= self._told_at + QUIET:
            self._told_at = None
            self._inform("traces are exported again", {"spans_lost": self._lost})
            self._lost = 0


class LastWords(logging.Handler):
    """Keeps what the SDK said last, as the reason of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(("Shutdown", "Exporter already")):  # that is no reason, but our own doing
            self.text = text[:1000]


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
