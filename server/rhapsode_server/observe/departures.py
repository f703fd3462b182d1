"""Which series of a process's metrics are those of versions of models that have left it, as values."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from prometheus_client import Metric

from rhapsode_server.observe.merge import Family, Snapshot

Version: TypeAlias = tuple[str, str]  # a model's name and its version
_SAID_OF_EACH = "rhapsode_model_info"


def versions(snapshot: Snapshot) -> frozenset[Version]:
    """All versions in a process's memory."""
    told = (family.samples for family in snapshot if family.name == _SAID_OF_EACH)
    return frozenset((sample.labels["model"], sample.labels["version"]) for samples in told for sample in samples)


class Departed:
    """The series of versions that have gone, and those of the models of which no version is left."""

    def __init__(self, gone: Collection[Version], left: Iterable[Version]) -> None:
        self._versions = frozenset(gone)
        self._models = {name for name, _ in gone} - {name for name, _ in left}

    def among(self, snapshot: Snapshot) -> list[Family]:
        """Theirs alone."""
        return _chosen(snapshot, self, True)

    def beside(self, snapshot: Snapshot) -> list[Family]:
        """All but theirs."""
        return _chosen(snapshot, self, False)

    def own(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is theirs."""
        model, version = labels.get("model"), labels.get("version")
        return model in self._models if version is None else (model, version) in self._versions


def _chosen(snapshot: Snapshot, departed: Departed, own: bool) -> list[Family]:
    chosen = []
    for family in snapshot:
        part = Metric(family.name, family.documentation, family.type)
        part.samples = [sample for sample in family.samples if departed.own(sample.labels) is own]
        chosen.append(part)
    return chosen
