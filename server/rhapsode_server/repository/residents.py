"""Which versions of which models are in memory, what each is at, and what a reference to a model means.

Values only: no loading, no event loop. What loads models tells what happens; what refuses is refused before anything
is changed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Generic, Protocol, TypeVar

from rhapsode_server.errors import ModelInUse, ModelNotFound, RepositoryFull

DEFAULT = "default"
"""The alias that a bare name means, where it is set."""
_NOT_FOUND = "no model of that name and version; ListModels names those that are there"

Key = tuple[str, int]
"""A model's name and version."""


class Resident(Protocol):
    """A model in memory, as far as this has to know it."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def version(self) -> int:
        """The model's version."""

    @property
    def digest(self) -> str:
        """SHA-256 of bundle.json."""

    @property
    def fingerprint(self) -> str:
        """Of what it makes."""

    @property
    def size(self) -> int:
        """Bytes of its bundle."""


ResidentT = TypeVar("ResidentT", bound=Resident)


class State(Enum):
    """Where a version stands."""

    LOADING = auto()
    """It is being loaded, and nothing is served in its place."""
    READY = auto()
    UNLOADING = auto()
    """It finishes what it has begun."""
    UNLOADED = auto()
    FAILED = auto()
    """It could not be loaded, and nothing is served in its place."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one version."""

    name: str
    version: int
    state: State
    loading: bool = False
    """Whether it is being loaded, be it anew while it is served."""
    problem: str = ""
    """Why the last load failed; empty where it did not."""
    digest: str = ""
    """Of what is in memory; empty where nothing is."""
    fingerprint: str = ""
    size: int = 0
    changed: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that may be in memory, what is loading and what is on its way out included; 0 is no limit."""

    models: int = 0
    size: int = 0
    """Bytes of bundles."""


class Residents(Generic[ResidentT]):
    """Models by name, version and alias. Lives in the event loop; `changed` is told the key of whatever changes."""

    def __init__(
        self,
        models: Iterable[ResidentT] = (),
        bounds: Bounds = Bounds(),
        clock: Callable[[], float] = time.time,
        changed: Callable[[Key], object] = lambda _: None,
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self.changed = changed
        self._served: dict[Key, ResidentT] = {}
        self._leaving: list[ResidentT] = []
        self._coming: dict[Key, int] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self._statuses: dict[Key, Status] = {}
        for model in models:
            self._coming[_key(model)] = model.size
            self.ready(model)

    @property
    def served(self) -> Sequence[ResidentT]:
        """All that can be asked for, sorted by name, then version."""
        return [self._served[key] for key in sorted(self._served)]

    @property
    def statuses(self) -> Sequence[Status]:
        """Of every version that is known, sorted by name, then version."""
        return [self._statuses[key] for key in sorted(self._statuses)]

    def status(self, key: Key) -> Status:
        """Of one version that is known."""
        return self._statuses[key]

    def aliases(self, name: str) -> Mapping[str, int]:
        """The aliases of a model, and the versions that they name."""
        return dict(sorted(self._aliases.get(name, {}).items()))

    def names_of(self, key: Key) -> Sequence[str]:
        """The aliases that name a version, sorted."""
        return [alias for alias, version in self.aliases(key[0]).items() if version == key[1]]

    def find(self, reference: str) -> ResidentT:
        """The model "name", "name@version" or "name@alias". Raises ModelNotFound."""
        key = self.key(reference)
        if key is None or key not in self._served:
            raise ModelNotFound(_NOT_FOUND)
        return self._served[key]

    def key(self, reference: str) -> Key | None:
        """What a reference means, served or loading; None where nothing is."""
        name, at, which = reference.partition("@")
        aliases = self._aliases.get(name, {})
        if not at:
            return (name, aliases[DEFAULT]) if DEFAULT in aliases else self._newest(name)
        if which in aliases:
            return name, aliases[which]
        # The one way to write a number: "02" names nothing.
        return next((key for key in self._keys(name) if str(key[1]) == which), None)

    def begin(self, key: Key, size: int) -> None:
        """A version of so many bytes is being loaded. Raises RepositoryFull."""
        held = [*self._served.values(), *self._leaving]
        count, total = len(held) + len(self._coming) + 1, sum(model.size for model in held) + sum(self._coming.values())
        if self._bounds.models and count > self._bounds.models:
            most = self._bounds.models
            raise RepositoryFull(f"{count - 1} models are in memory, the most is {most}", {"max_models": str(most)})
        if self._bounds.size and total + size > self._bounds.size:
            most = self._bounds.size
            text = f"the bundles in memory have {total} bytes and this one {size}, the most is {most}"
            raise RepositoryFull(text, {"max_model_bytes": str(most)})
        self._coming[key] = size
        self._tell(self._known(key), loading=True, state=State.READY if key in self._served else State.LOADING)

    def ready(self, model: ResidentT) -> ResidentT | None:
        """What was being loaded is served from now on: what was served in its place until now, which is leaving."""
        key = _key(model)
        self._coming.pop(key)
        replaced = self._served.get(key)
        if replaced is not None:
            self._leaving.append(replaced)
        self._served[key] = model
        status = self._known(key)
        told = replace(status, digest=model.digest, fingerprint=model.fingerprint, size=model.size)
        self._tell(told, state=State.READY, loading=False, problem="")
        return replaced

    def failed(self, key: Key, problem: str) -> None:
        """What was being loaded cannot be served."""
        self._coming.pop(key)
        state = State.READY if key in self._served else State.FAILED
        self._tell(self._known(key), state=state, loading=False, problem=problem)

    def leave(self, key: Key) -> ResidentT:
        """A version is served no more, and is leaving. Raises ModelNotFound or ModelInUse."""
        if key not in self._served:
            raise ModelNotFound("no such version is served")
        if names := self.names_of(key):
            raise ModelInUse(f"the alias {names[0]} names it; have it name another version first", {"alias": names[0]})
        model = self._served.pop(key)
        self._leaving.append(model)
        self._tell(self._known(key), state=State.UNLOADING)
        return model

    def gone(self, model: ResidentT) -> None:
        """What was leaving has left memory."""
        self._leaving = [each for each in self._leaving if each is not model]
        key = _key(model)
        if key not in self._served and key not in self._coming:
            told = replace(self._known(key), digest="", fingerprint="", size=0)
            self._tell(told, state=State.UNLOADED)

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Have an alias name a version that is served; None removes it. Raises ModelNotFound."""
        aliases = self._aliases.setdefault(name, {})
        before = aliases.get(alias)
        if version is None:
            if before is None:
                raise ModelNotFound("no such alias is set")
            del aliases[alias]
        elif (name, version) not in self._served:
            raise ModelNotFound("no such version is served")
        else:
            aliases[alias] = version
        for key in {(name, each) for each in (before, version) if each is not None}:
            self._tell(self._known(key))

    def _newest(self, name: str) -> Key | None:
        """The newest that is served, or else the newest that is loading."""
        served = [key for key in self._served if key[0] == name]
        return max(served or self._keys(name), default=None)

    def _keys(self, name: str) -> Iterable[Key]:
        return [key for key in (*self._served, *self._coming) if key[0] == name]

    def _known(self, key: Key) -> Status:
        return self._statuses.get(key) or Status(*key, State.UNLOADED)

    def _tell(self, status: Status, **news: object) -> None:
        key = (status.name, status.version)
        self._statuses[key] = replace(status, changed=self._clock(), **news)  # type: ignore[arg-type]
        self.changed(key)

    def __iter__(self) -> Iterator[ResidentT]:
        return iter(self.served)

    def __repr__(self) -> str:
        """Name the models that are served."""
        return f"Residents({', '.join(f'{model.name}@{model.version}' for model in self.served)})"


def _key(model: Resident) -> Key:
    return model.name, model.version
