"""The server's own Prometheus metrics: what the engine, the loader and the process report."""

import platform
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Role = Literal["step", "decode", "encode", "critic", "transform", "denoise", "gibbs"]

_ITEM_OF_ROLE: Mapping[Role, str] = MappingProxyType(
    {
        "step": "token",
        "decode": "image",
        "encode": "latent",
        "critic": "judgement",
        "transform": "image",
        "denoise": "image",
        "gibbs": "image",
    }
)
_REJECTIONS = ("queue_full", "shutting_down", "deadline_expired")
_LANE = ("model", "version", "role")
_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_LONG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Every metric of one server, in the registry that it is given. Times are in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = _LANE) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, labels: tuple[str, ...] = _LANE) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], labels: tuple[str, ...] = _LANE) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.queue_depth = gauge("rhapsode_queue_depth", "Jobs that wait for a slot.")
        self.active_slots = gauge("rhapsode_active_slots", "Jobs that hold a slot.")
        self.slots = gauge("rhapsode_slots", "Jobs that may hold a slot at a time.")
        self.queue_wait = histogram("rhapsode_queue_wait_seconds", "From a job's arrival to its first run.", _LONG)
        self.rows_per_run = histogram("rhapsode_rows_per_run", "Rows advanced by one run of ONNX Runtime.", _ROWS)
        self.run_seconds = histogram("rhapsode_run_seconds", "Time of one run, sampling included.", _SHORT)
        self.first_message = histogram(
            "rhapsode_time_to_first_message_seconds", "From a job's arrival to its first event for the reader.", _LONG
        )
        self.gaps = histogram("rhapsode_inter_message_seconds", "Between two messages of one job.", _SHORT)
        self.items = counter(
            "rhapsode_items_generated_total", "Tokens, images, latents and judgements made.", ("model", "kind")
        )
        self.rejected = counter("rhapsode_requests_rejected_total", "Requests refused.", ("model", "reason"))
        self.cancelled = counter(
            "rhapsode_requests_cancelled_total", "Jobs whose reader left.", ("model", "version", "role", "stage")
        )
        self.expired = counter("rhapsode_expired_in_queue_total", "Jobs whose deadline passed before their first run.")
        self.stalled = counter("rhapsode_streams_stalled_total", "Jobs parked because their reader was slow.")
        self.nonfinite = counter(
            "rhapsode_nonfinite_outputs_total", "Jobs that ended because a model gave NaN or infinity."
        )
        self.loop_lag = histogram("rhapsode_event_loop_lag_seconds", "Lateness of the event loop.", _SHORT, ())
        self.model_info = gauge(
            "rhapsode_model_info", "1 for each model.", ("model", "version", "sha256", "fingerprint", "provider")
        )
        self.model_load = gauge(
            "rhapsode_model_load_seconds", "Time to read, check and warm up a model.", ("model", "version")
        )
        self.provider_fallback = gauge(
            "rhapsode_provider_fallback", "1 where the preferred execution provider is not in use.", ("provider",)
        )
        self.certificate_expiry = gauge(
            "rhapsode_tls_cert_expiry_timestamp_seconds",
            "When the server's certificate ceases to be valid, in seconds since 1970; 0 without TLS.",
            (),
        )
        self.build_info = gauge("rhapsode_build_info", "1.", ("version", "onnxruntime", "grpc", "python"))

    def lane(self, model: str, version: int, role: Role, slots: int) -> "LaneMetrics":
        """Give the metrics of one graph of one model, every series there from the start."""
        return LaneMetrics(self, model, version, role, slots)

    def loaded(self, model: str, version: int, digest: str, fingerprint: str, provider: str, seconds: float) -> None:
        """Report a model that is ready."""
        self.model_info.labels(model, str(version), digest, fingerprint, provider).set(1)
        self.model_load.labels(model, str(version)).set(seconds)

    def started(self, version: str, onnxruntime: str, grpc: str, provider: str, fallback: bool) -> None:
        """Report what this process is made of, and whether it runs where it was meant to."""
        self.build_info.labels(version, onnxruntime, grpc, platform.python_version()).set(1)
        self.provider_fallback.labels(provider).set(int(fallback))


class LaneMetrics:
    """What the engine reports about one graph of one model. Safe from any thread; a call costs about a microsecond."""

    def __init__(self, metrics: Metrics, model: str, version: int, role: Role, slots: int) -> None:
        lane = (model, str(version), role)
        metrics.slots.labels(*lane).set(slots)
        self._queue_depth = metrics.queue_depth.labels(*lane)
        self._active_slots = metrics.active_slots.labels(*lane)
        self._queue_wait = metrics.queue_wait.labels(*lane)
        self._rows_per_run = metrics.rows_per_run.labels(*lane)
        self._run_seconds = metrics.run_seconds.labels(*lane)
        self._first_message = metrics.first_message.labels(*lane)
        self._gaps = metrics.gaps.labels(*lane)
        self._items = metrics.items.labels(model, _ITEM_OF_ROLE[role])
        self._rejected = {reason: metrics.rejected.labels(model, reason) for reason in _REJECTIONS}
        self._cancelled = {
            "queued": metrics.cancelled.labels(*lane, "queued"),
            "running": metrics.cancelled.labels(*lane, "running"),
        }
        self._expired = metrics.expired.labels(*lane)
        self._stalled = metrics.stalled.labels(*lane)
        self._nonfinite = metrics.nonfinite.labels(*lane)

    def queue_changed(self, queued: int, active: int) -> None:
        """Report how many jobs wait and how many hold a slot."""
        self._queue_depth.set(queued)
        self._active_slots.set(active)

    def waited(self, seconds: float) -> None:
        """Report a job's wait for its first run."""
        self._queue_wait.observe(seconds)

    def ran(self, rows: int, seconds: float) -> None:
        """Report a run."""
        self._rows_per_run.observe(rows)
        self._run_seconds.observe(seconds)

    def first_event(self, seconds: float) -> None:
        """Report how long a job's reader waited for its first event."""
        self._first_message.observe(seconds)

    def gap(self, seconds: float) -> None:
        """Report the time between two messages of one job."""
        self._gaps.observe(seconds)

    def items(self, count: int) -> None:
        """Report tokens, images or latents made."""
        self._items.inc(count)

    def cancelled(self, stage: Literal["queued", "running"]) -> None:
        """Report a job whose reader left."""
        self._cancelled[stage].inc()

    def expired(self) -> None:
        """Report a job whose deadline passed before its first run."""
        self._expired.inc()

    def rejected(self, reason: str) -> None:
        """Report a job that was refused: the error's reason in lower case, one of three."""
        self._rejected[reason.lower()].inc()

    def stalled(self) -> None:
        """Report a job that is parked because its reader is slow."""
        self._stalled.inc()

    def nonfinite(self) -> None:
        """Report a job that ended because the model gave NaN or infinity."""
        self._nonfinite.inc()
