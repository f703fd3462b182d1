"""Prometheus metrics of the engine, for each graph of each model: its lane."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rhapsode_server.observe.exemplars import exemplar
from rhapsode_server.observe.trace_context import TraceContext

Role = Literal["step", "decode", "encode", "critic", "transform", "denoise", "gibbs", "step_raw"]
"""What a graph does; "step_raw" is a step graph by itself, without the sampler that texts are made with."""
Lane = tuple[str, str, Role]
"""A graph: its model, its version and what it does."""
Left = Literal["queued", "running", "streaming"]
"""Where a job stood when its reader left: never run, under way, or all made and not all read."""

SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Bounds of the buckets for what should take a moment, in seconds."""

_TENSORS = "tensors"
_ITEM_OF_ROLE: Mapping[Role, str] = MappingProxyType(
    {
        "step": "token",
        "decode": "image",
        "encode": "latent",
        "critic": "judgement",
        "transform": "image",
        "denoise": "image",
        "gibbs": "image",
        "step_raw": _TENSORS,
    }
)
_STAGES: tuple[Left, ...] = ("queued", "running", "streaming")
_REJECTIONS = (
    "queue_full",
    "deadline_too_short",
    "shutting_down",
    "deadline_expired",
    "model_unhealthy",
    "device_lost",
)
_FAILURES = ("run_failed", "out_of_memory", "device_lost")
_LANE = ("model", "version", "role")
_LONG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Jobs(NamedTuple):
    """Where the jobs of a lane stand."""

    queued: int
    active: int
    parked: int
    room: int
    """Jobs that may hold a slot now."""


class Lanes:
    """The metrics of all lanes, in the registry that it is given. Times are in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waits: dict[Lane, Callable[[], float]] = {}

        self._of_lanes: list[Counter | Gauge | Histogram] = []

        def counter(name: str, text: str, labels: tuple[str, ...] = _LANE) -> Counter:
            made = Counter(name, text, labels, registry=registry)
            if labels[: len(_LANE)] == _LANE:
                self._of_lanes.append(made)
            return made

        def gauge(name: str, text: str) -> Gauge:
            self._of_lanes.append(made := Gauge(name, text, _LANE, registry=registry))
            return made

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            self._of_lanes.append(made := Histogram(name, text, _LANE, buckets=buckets, registry=registry))
            return made

        self.queue_depth = gauge("rhapsode_queue_depth", "Jobs that wait for a slot.")
        self.active_slots = gauge("rhapsode_active_slots", "Jobs that hold a slot.")
        self.slots = gauge("rhapsode_slots", "Jobs that may hold a slot at a time.")
        self.parked = gauge("rhapsode_parked_jobs", "Jobs that gave up their slot because their reader was slow.")
        self.expected_wait = gauge(
            "rhapsode_expected_wait_seconds", "What a job that comes now has to expect to wait for a slot."
        )
        self.queue_wait = histogram("rhapsode_queue_wait_seconds", "From a job's arrival to its first run.", _LONG)
        self.rows_per_run = histogram("rhapsode_rows_per_run", "Rows advanced by one run of ONNX Runtime.", _ROWS)
        self.run_seconds = histogram("rhapsode_run_seconds", "Time of one run, sampling included.", SHORT)
        self.failed_runs = counter(
            "rhapsode_run_failures_total", "Runs of which no row got on, by the reason.", (*_LANE, "reason")
        )
        self.taken_apart = counter(
            "rhapsode_runs_taken_apart_total", "Runs that failed with tensors in them, and were done again in parts."
        )
        self.first_message = histogram(
            "rhapsode_time_to_first_message_seconds", "From a job's arrival to its first event for the reader.", _LONG
        )
        self.gaps = histogram("rhapsode_inter_message_seconds", "Between two messages of one job.", SHORT)
        self.items = counter(
            "rhapsode_items_generated_total",
            "Tokens, images, latents, judgements and rows of tensors made.",
            ("model", "kind"),
        )
        self.rejected = counter("rhapsode_requests_rejected_total", "Requests refused.", ("model", "reason"))
        self.cancelled = counter("rhapsode_requests_cancelled_total", "Jobs whose reader left.", (*_LANE, "stage"))
        self.expired = counter("rhapsode_expired_in_queue_total", "Jobs whose deadline passed before their first run.")
        self.stalled = counter("rhapsode_streams_stalled_total", "Jobs parked because their reader was slow.")
        self.nonfinite = counter(
            "rhapsode_nonfinite_outputs_total", "Jobs that ended because a model gave NaN or infinity."
        )

    def foretell(self, lane: Lane, wait: Callable[[], float]) -> None:
        """Have this tell from now on what a job of a lane has to expect."""
        self._waits[lane] = wait
        self.expected_wait.labels(*lane).set_function(partial(self._expected_wait, lane))

    def foretell_nothing(self, lane: Lane, wait: Callable[[], float]) -> None:
        """Forget what would tell it, unless that is another by now."""
        if self._waits.get(lane) is wait:
            del self._waits[lane]

    def unloaded(self, version: Mapping[str, str]) -> None:
        """Have the series of a version's lanes go, by the labels that they share."""
        for metric in self._of_lanes:
            metric.remove_by_labels(dict(version))

    def _expected_wait(self, lane: Lane) -> float:
        wait = self._waits.get(lane)
        return 0.0 if wait is None else wait()


class LaneMetrics:
    """What the engine reports about one graph of one model. Safe from any thread; a call costs about a microsecond.

    Where a time is of a request that belongs to a trace, the trace becomes the exemplar of its bucket.
    """

    def __init__(self, lanes: Lanes, model: str, version: int, role: Role, slots: int) -> None:
        self._lanes = lanes
        self._lane = lane = (model, str(version), role)
        self._wait: Callable[[], float] = _no_wait
        self._at_rest = False
        self._slots = lanes.slots.labels(*lane)
        self._slots.set(slots)
        self._queue_depth = lanes.queue_depth.labels(*lane)
        self._active_slots = lanes.active_slots.labels(*lane)
        self._parked = lanes.parked.labels(*lane)
        self._queue_wait = lanes.queue_wait.labels(*lane)
        self._rows_per_run = lanes.rows_per_run.labels(*lane)
        self._run_seconds = lanes.run_seconds.labels(*lane)
        self._failed = {reason: lanes.failed_runs.labels(*lane, reason) for reason in _FAILURES}
        self._taken_apart = lanes.taken_apart.labels(*lane)
        self._first_message = lanes.first_message.labels(*lane)
        self._gaps = lanes.gaps.labels(*lane)
        self._items = lanes.items.labels(model, _ITEM_OF_ROLE[role])
        self._tensors = lanes.items.labels(model, _TENSORS)
        self._rejected = {reason: lanes.rejected.labels(model, reason) for reason in _REJECTIONS}
        self._cancelled = {stage: lanes.cancelled.labels(*lane, stage) for stage in _STAGES}
        self._expired = lanes.expired.labels(*lane)
        self._stalled = lanes.stalled.labels(*lane)
        self._nonfinite = lanes.nonfinite.labels(*lane)

    def jobs_changed(self, jobs: Jobs) -> None:
        """Report how many jobs wait, hold a slot or gave theirs up."""
        if self._at_rest:
            return
        self._queue_depth.set(jobs.queued)
        self._active_slots.set(jobs.active)
        self._parked.set(jobs.parked)
        self._slots.set(jobs.room)

    def foretell(self, wait: Callable[[], float]) -> None:
        """Have what a job that comes has to expect told when somebody reads it: it takes too long for every change."""
        self._wait = wait
        self._lanes.foretell(self._lane, wait)

    def rest(self) -> None:
        """Report no more how things are, which another does from now on, or nobody; what happens still counts."""
        self._at_rest = True
        self._lanes.foretell_nothing(self._lane, self._wait)
        self._wait = _no_wait

    def waited(self, seconds: float, trace: TraceContext | None = None) -> None:
        """Report a job's wait for its first run."""
        self._queue_wait.observe(seconds, exemplar(trace))

    def ran(self, rows: int, seconds: float, trace: TraceContext | None = None) -> None:
        """Report a run, with the trace of one of the jobs that took part."""
        self._rows_per_run.observe(rows)
        self._run_seconds.observe(seconds, exemplar(trace))

    def failed(self, reason: str) -> None:
        """Report a run of which no row got on: the error's reason, one of three."""
        self._failed[reason.lower()].inc()

    def taken_apart(self) -> None:
        """Report a run that failed at first, and was done again in parts."""
        self._taken_apart.inc()

    def first_event(self, seconds: float, trace: TraceContext | None = None) -> None:
        """Report how long a job's reader waited for its first event."""
        self._first_message.observe(seconds, exemplar(trace))

    def gap(self, seconds: float) -> None:
        """Report the time between two messages of one job."""
        self._gaps.observe(seconds)

    def items(self, count: int, tensors: int = 0) -> None:
        """Report tokens, images, latents or judgements made, and rows of tensors."""
        self._items.inc(count)
        if tensors:
            self._tensors.inc(tensors)

    def cancelled(self, stage: Left) -> None:
        """Report a job whose reader left."""
        self._cancelled[stage].inc()

    def expired(self) -> None:
        """Report a job whose deadline passed before its first run."""
        self._expired.inc()

    def rejected(self, reason: str) -> None:
        """Report a job that was refused: the error's reason, one of those known."""
        self._rejected[reason.lower()].inc()

    def stalled(self) -> None:
        """Report a job that is parked because its reader is slow."""
        self._stalled.inc()

    def nonfinite(self) -> None:
        """Report a job that ended because the model gave NaN or infinity."""
        self._nonfinite.inc()


def _no_wait() -> float:
    return 0.0
