"""Aliases of versions that are not served yet, as files name them."""

from collections.abc import Mapping, Set

from rhapsode_server.errors import ModelLoading

DEFAULT = "default"
"""The alias that a bare name means, where it is set."""
AGAIN = 5.0
"""Seconds after which it is worth while to ask again."""


class Awaited:
    """Who asks for one of them comes again, or asks another server: to be told that there is no such model is final."""

    def __init__(self) -> None:
        self._versions: dict[str, Mapping[str, int]] = {}
        self._held: set[str] = set()
        self._unread: set[str] = set()

    @property
    def names(self) -> Set[str]:
        """The models that have any."""
        return self._versions.keys() | self._unread

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._versions.values()))

    def begin(self, aliases: Mapping[str, Mapping[str, int]], unread: Set[str]) -> None:
        """Name those of all models at a start, and the models of which the file cannot be read.

        A bare name that `default` pinned before must not mean another version now: it is held back until `default` is
        set, or the file says none.
        """
        self._versions = {name: versions for name, versions in aliases.items() if versions}
        self._unread = set(unread)
        self._held = {name for name, versions in aliases.items() if DEFAULT in versions} | self._unread

    def say(self, name: str, versions: Mapping[str, int]) -> None:
        """Name those of a model, all of them, as its file says now."""
        self._unread.discard(name)
        self._versions.pop(name, None)
        if versions:
            self._versions[name] = versions
        if DEFAULT not in versions:
            self.release(name)

    def release(self, name: str) -> None:
        """A model's bare name has its meaning."""
        self._held.discard(name)

    def holds(self, reference: str) -> bool:
        """Whether a reference is a bare name that is held back though a version of that name is served."""
        return reference in self._held

    def check(self, reference: str) -> None:
        """Raise ModelLoading where a reference is one of them, or may be."""
        name, _, alias = reference.partition("@")
        version = self._versions.get(name, {}).get(alias or DEFAULT)
        if version is not None:
            text = f"{reference} is to name version {version}, which is not served yet"
            raise ModelLoading(text, {"model": name, "version": str(version)}, AGAIN)
        if name in self._unread and not alias.isdigit():
            raise ModelLoading(f"what {reference} means cannot be read", {"model": name}, AGAIN)
