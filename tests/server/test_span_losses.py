"""Nobody waits for traces, and no span is lost without being counted and told of."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from rhapsode_server.observe.span_losses import QUIET, SpanLosses
from rhapsode_server.observe.span_records import BOUND, SpanRecord, SpanWriter
from rhapsode_server.observe.span_telling import CountedQueue, LastSaid, TellingExporter
from rhapsode_server.observe.trace_context import TraceContext
from rhapsode_server.observe.traces import Loss

GOOD, BAD = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
Line = tuple[str, Mapping[str, object]]


class Kept:
    """What was counted, and the lines that told of it."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.lines: list[Line] = []
        self.counted: Counter[Loss] = Counter()
        self.losses = SpanLosses(self.tell, clock)
        self.losses.count = self._count

    def tell(self, event: str, fields: Mapping[str, object]) -> None:
        self.lines.append((event, fields))

    def _count(self, loss: Loss, spans: int) -> None:
        self.counted[loss] += spans


def nothing() -> None:
    """There is nothing to finish."""


def record(name: str) -> SpanRecord:
    return SpanRecord(name, TraceContext("1" * 32, "1" * 16, sampled=True), 0, 0.0, {})


def test_too_many_records_are_dropped_and_nobody_waits() -> None:
    kept, made, closing = Kept(), list[str](), threading.Event()

    def make(each: SpanRecord) -> None:
        closing.wait()
        made.append(each.name)

    writer = SpanWriter(make, nothing, nothing, 60, kept.losses)
    for number in range(2 * BOUND):
        writer.add(record(str(number)))
    closing.set()
    writer.close()
    assert BOUND <= len(made) <= BOUND + 1  # one may have been in its hands
    lost = 2 * BOUND - len(made)
    assert kept.counted == {"behind": lost}
    assert sum(int(str(fields["spans"])) for _, fields in kept.lines) == lost


def test_what_cannot_be_made_does_not_cost_the_rest() -> None:
    kept, made = Kept(), list[str]()

    def make(each: SpanRecord) -> None:
        made.append(each.name)
        raise ValueError(each.name)

    writer = SpanWriter(make, nothing, nothing, 60, kept.losses)
    for name in "ab":
        writer.add(record(name))
    writer.close()
    assert made == ["a", "b"]
    assert kept.counted == {"broken": 2}


def test_an_end_that_lasts_too_long_is_given_up() -> None:
    given_up, finished = threading.Event(), threading.Event()

    def finish() -> None:
        given_up.wait()
        finished.set()

    SpanWriter(lambda _: None, finish, given_up.set, 0.01, Kept().losses).close()
    assert finished.wait(60)


def test_losses_are_told_of_once_a_minute_and_at_the_end() -> None:
    now = 0.0
    kept = Kept(lambda: now)

    def lose_and_tell(loss: Loss, last: bool = False) -> None:
        kept.losses.drop(loss)
        kept.losses.tell(last)

    lose_and_tell("behind")
    lose_and_tell("behind")
    now = QUIET
    lose_and_tell("queue_full")
    now += 1
    lose_and_tell("broken", last=True)
    kept.losses.tell(last=True)
    told = [(event, fields["reason"], fields["spans"]) for event, fields in kept.lines]
    assert [event for event, _, _ in told] == ["spans are dropped"] * 4
    assert [(reason, spans) for _, reason, spans in told] == [
        ("behind", 1),
        ("behind", 1),
        ("queue_full", 1),
        ("broken", 1),
    ]


def test_a_line_that_comes_too_late_for_the_log_ends_no_thread() -> None:
    def over(event: str, fields: Mapping[str, object]) -> None:
        raise RuntimeError("Event loop is closed")

    losses = SpanLosses(over)
    losses.drop("behind")
    losses.tell()


class Slow(SpanExporter):
    """Takes spans when it may."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.spans: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.go.wait(60)
        self.spans += [span.name for span in spans]
        return GOOD


def test_a_full_queue_drops_what_comes_and_counts_it() -> None:
    kept, slow, size = Kept(), Slow(), 600
    exporter = TellingExporter(slow, LastSaid(), kept.losses, kept.tell, kept.tell)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CountedQueue(exporter, size, kept.losses))
    tracer = provider.get_tracer("test")
    for number in range(3 * size):
        tracer.start_span(str(number)).end()
    slow.go.set()
    provider.shutdown()
    assert slow.spans[:size] == [str(number) for number in range(size)]
    assert size <= len(slow.spans) < 2 * size + 1  # a batch may be in the exporter's hands
    assert kept.counted == {"queue_full": 3 * size - len(slow.spans)}


class Moody(SpanExporter):
    """Does what it is told."""

    def __init__(self) -> None:
        self.answers: list[SpanExportResult | Exception] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_failing_export_is_told_once_and_its_return_too() -> None:
    kept, inner, last_said = Kept(), Moody(), LastSaid()
    moments = iter([0.0, 1.0, QUIET, QUIET + 1])
    exporter = TellingExporter(inner, last_said, kept.losses, kept.tell, kept.tell, clock=lambda: next(moments))
    last_said.text = "nobody there"
    inner.answers = [GOOD, BAD, BAD, GOOD, GOOD, OSError("broken")]
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("a")
    assert isinstance(span, ReadableSpan)
    results = [exporter.export([span, span]) for _ in range(6)]
    assert results == [GOOD, BAD, BAD, GOOD, GOOD, BAD]
    assert [event for event, _ in kept.lines] == [
        "traces cannot be exported",
        "traces are exported again",
        "traces cannot be exported",
    ]
    assert [fields.get("reason") for _, fields in kept.lines] == ["nobody there", None, "OSError: broken"]
    assert kept.lines[1][1]["spans_lost"] == 4
    assert kept.counted == {"export_failed": 6}
