"""Aliases of versions that are not served yet, as files name them."""

from collections.abc import Mapping, Set

from rhapsode_server.errors import ModelLoading

AGAIN = 5.0
"""Seconds after which it is worth while to ask again."""


class Awaited:
    """Who asks for one of them comes again, or asks another server: to be told that there is no such model is final."""

    def __init__(self) -> None:
        self._versions: dict[str, Mapping[str, int]] = {}

    @property
    def names(self) -> Set[str]:
        """The models that have any."""
        return self._versions.keys()

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._versions.values()))

    def say(self, name: str, versions: Mapping[str, int]) -> None:
        """Name those of a model, all of them."""
        self._versions.pop(name, None)
        if versions:
            self._versions[name] = versions

    def check(self, reference: str) -> None:
        """Raise ModelLoading where a reference is one of them."""
        name, _, alias = reference.partition("@")
        version = self._versions.get(name, {}).get(alias)
        if version is not None:
            text = f"{reference} is to name version {version}, which is not served yet"
            raise ModelLoading(text, {"model": name, "version": str(version)}, AGAIN)
