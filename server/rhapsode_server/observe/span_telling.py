"""The ways out of OpenTelemetry's SDK, made to say what is lost there."""

import logging
import time
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from rhapsode_server.observe.span_losses import QUIET, SpanLosses, Tell


class CountedQueue(SpanProcessor):
    """The SDK's queue, which drops what it has no room for without a word. Takes spans from one thread."""

    def __init__(self, exporter: "TellingExporter", size: int, losses: SpanLosses) -> None:
        self._inner = BatchSpanProcessor(exporter, max_queue_size=size)
        self._exporter = exporter
        self._size = size
        self._losses = losses
        self._given = 0

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing to do yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a span, unless as many wait as may."""
        if self._given - self._exporter.taken < self._size:
            self._given += 1
            self._inner.on_end(span)
        else:
            self._losses.drop("queue_full")

    def shutdown(self) -> None:
        """Export what waits, and end."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits."""
        return self._inner.force_flush(timeout_millis)


class TellingExporter(SpanExporter):
    """Exports by another one; tells that it fails, and later that it works again."""

    def __init__(
        self,
        inner: SpanExporter,
        last_said: "LastSaid",
        losses: SpanLosses,
        warn: Tell,
        inform: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._losses = losses
        self._warn = warn
        self._inform = inform
        self._clock = clock
        self.taken = 0
        """Spans that have been handed over, with success or without."""
        self._lost = 0
        self._ended = False
        self._told_at: float | None = None
        self._last_said = last_said

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand spans over; those of a failure are lost."""
        self.taken += len(spans)
        try:
            result = self._inner.export(spans)
        except Exception as error:  # whatever it is, later spans may get through
            self._last_said.text = f"{type(error).__name__}: {error}"
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
        self._losses.count("export_failed", count)
        if self._told_at is None:
            self._told_at = self._clock()
            self._warn("traces cannot be exported", {"reason": self._last_said.text, "spans": count})

    def _succeeded(self) -> None:
        if self._told_at is not None and self._clock() >= self._told_at + QUIET:
            self._told_at = None
            self._inform("traces are exported again", {"spans_lost": self._lost})
            self._lost = 0


class LastSaid(logging.Handler):
    """Keeps what the SDK said last, as the reason of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(("Shutdown", "Exporter already")):  # that is no reason, but our own doing
            self.text = text[:1000]
