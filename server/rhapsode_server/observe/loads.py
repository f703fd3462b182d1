"""Prometheus metrics of models that are loaded while the server serves."""

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter

Failure = Literal["refused", "crashed", "timed_out", "changed", "full", "device_lost", "failed"]
"""Why a load failed: the bundle breaks a rule, ended the process that rehearsed it, took too long, or was changed
meanwhile; there was no room for it; the device was lost; or the fault is ours.
"""


class LoadMetrics:
    """Every series there from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        failures = Counter(
            "rhapsode_model_load_failures_total",
            "Models that could not be loaded though others are served.",
            ["reason"],
            registry=registry,
        )
        self._failures = {failure: failures.labels(failure) for failure in get_args(Failure)}

    def failed(self, why: Failure) -> None:
        """Report a load that failed."""
        self._failures[why].inc()
