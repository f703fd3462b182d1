"""The server's own Prometheus metrics: what the engine, the pools of threads, the loader and the process report."""

import platform
from collections.abc import Callable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rhapsode_server.observe.lanes import SHORT, LaneMetrics, Lanes, Role
from rhapsode_server.observe.pools import Pool, PoolMetrics
from rhapsode_server.observe.traces import Loss
from rhapsode_server.observe.versions import VersionMetrics

_FILES = ("png", "webp", "jpeg")


class Metrics:
    """Every metric of one server but those of its rpcs, in the registry that it is given. Times are in seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=SHORT, registry=registry)

        self._lanes = Lanes(registry)
        self._pools = PoolMetrics(registry)
        self.rejected = self._lanes.rejected
        self.given_up = Counter(
            "rhapsode_streams_given_up_total",
            "Streams ended because a message was not taken in time.",
            ["model"],
            registry=registry,
        )
        self.stream_requests = Counter(
            "rhapsode_stream_requests_total",
            "Requests of ModelStreamInfer, by the status that each would have had by itself.",
            ["grpc_code"],
            registry=registry,
        )
        self._encode = histogram("rhapsode_encode_seconds", "Writing one picture's file.", "format")
        self._encoders = {form: self._encode.labels(form) for form in _FILES}
        self.loop_lag = histogram("rhapsode_event_loop_lag_seconds", "Lateness of the event loop.")
        self.loop_tasks = gauge("rhapsode_event_loop_tasks", "Tasks of the event loop.")
        self.ready = gauge(
            "rhapsode_ready",
            "1 where requests are wanted, 0 in a stop, without any model or where SetReadiness said so.",
        )
        self.versions = VersionMetrics(registry)
        self.provider_fallback = gauge(
            "rhapsode_provider_fallback", "1 where the preferred execution provider is not in use.", "provider"
        )
        self.certificate_expiry = gauge(
            "rhapsode_tls_cert_expiry_timestamp_seconds",
            "When the server's certificate ceases to be valid, in seconds since 1970; 0 without TLS.",
        )
        self.access_reload_failures = Counter(
            "rhapsode_access_reload_failures_total",
            "Changes of the access file that are of no use: the rules before them hold.",
            registry=registry,
        )
        self.reload_failures = Counter(
            "rhapsode_tls_reload_failures_total",
            "Times that the certificate's files had changed and were of no use.",
            registry=registry,
        )
        spans_dropped = Counter(
            "rhapsode_spans_dropped_total", "Spans that no exporter could hand over.", ["reason"], registry=registry
        )
        self._spans_dropped = {loss: spans_dropped.labels(loss) for loss in get_args(Loss)}
        self.build_info = gauge("rhapsode_build_info", "1.", "version", "onnxruntime", "grpc", "python")

    def lane(self, model: str, version: int, role: Role, slots: int) -> LaneMetrics:
        """Give the metrics of one graph of one model, every series there from the start."""
        return LaneMetrics(self._lanes, model, version, role, slots)

    def pool(self, name: str, threads: int) -> Pool:
        """Make a pool of threads that reports here."""
        return Pool(name, threads, self._pools)

    def encoded(self, form: str) -> Callable[[float], None]:
        """Give what is told the seconds that writing a file took: a "png", a "webp" or a "jpeg"."""
        return self._encoders[form].observe

    def spans_lost(self, loss: Loss, spans: int) -> None:
        """Report spans that are lost, and why."""
        self._spans_dropped[loss].inc(spans)

    def unloaded(self, model: str, version: int) -> None:
        """Have the series of a version that has left memory go."""
        one = {"model": model, "version": str(version)}
        self.versions.unloaded(one)
        self._lanes.unloaded(one)

    def forget(self, model: str) -> None:
        """Have what was counted of a model go, of which no version is there any more."""
        for counter in (self._lanes.items, self.rejected, self.given_up):
            counter.remove_by_labels({"model": model})

    def started(self, version: str, onnxruntime: str, grpc: str, provider: str, fallback: bool) -> None:
        """Report what this process is made of, and whether it runs where it was meant to."""
        self.build_info.labels(version, onnxruntime, grpc, platform.python_version()).set(1)
        self.provider_fallback.labels(provider).set(int(fallback))
