"""Prometheus metrics of the versions of models: which are in memory, and which should be."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Gauge

Key = tuple[str, int]
"""A model's name and version."""


class VersionMetrics:
    """Gauges, in the registry that it is given; those of a version come and go with it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._info = gauge(
            "rhapsode_model_info", "1 for each model.", "model", "version", "sha256", "fingerprint", "provider"
        )
        self._load = gauge(
            "rhapsode_model_load_seconds", "Time to read, check and warm up a model.", "model", "version"
        )
        self._models = gauge(
            "rhapsode_models", "Models in memory: served, or leaving with what they have begun.", "state"
        )
        self._failing = gauge("rhapsode_model_failed", "1 where the last load of a version failed.", "model", "version")
        self._loads: Mapping[Key, bool] = {}
        self.aliases_waiting = gauge(
            "rhapsode_model_aliases_waiting", "Aliases in aliases.toml whose version is not served."
        )

    def loaded(self, model: str, version: int, digest: str, fingerprint: str, provider: str, seconds: float) -> None:
        """Report a model that is served from now on, in place of what was as the same version."""
        self._info.remove_by_labels({"model": model, "version": str(version)})
        self._info.labels(model, str(version), digest, fingerprint, provider).set(1)
        self._load.labels(model, str(version)).set(seconds)

    def unloaded(self, version: Mapping[str, str]) -> None:
        """Have the series of a version that has left memory go; `version` is its labels."""
        self._info.remove_by_labels(dict(version))
        self._load.remove_by_labels(dict(version))

    def loads(self, failed: Mapping[Key, bool]) -> None:
        """Report of every model and version that is to be told of whether its last load failed."""
        for model, version in self._loads.keys() - failed.keys():
            self._failing.remove_by_labels({"model": model, "version": str(version)})
        for (model, version), so in failed.items():
            self._failing.labels(model, str(version)).set(int(so))
        self._loads = failed

    def count(self, served: Callable[[], int], leaving: Callable[[], int]) -> None:
        """Have these tell how many models are in memory."""
        self._models.labels("served").set_function(served)
        self._models.labels("leaving").set_function(leaving)
