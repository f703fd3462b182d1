"""Which versions of which models are in memory, what each is at, and what a reference to a model means.

Values only: no loading, no event loop. What loads models tells what happens; what refuses is refused before anything
is changed.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic, TypeVar

from rhapsode_server.errors import ModelInUse, ModelNotFound
from rhapsode_server.repository.awaited import DEFAULT, Awaited
from rhapsode_server.repository.coming import Coming
from rhapsode_server.repository.resident import Resident
from rhapsode_server.repository.room import Bounds

MOST_PAST = 256
"""Versions that are not in memory of which anything is known: the last so many."""
_NOT_FOUND = "no model of that name and version; ListModels names those that are there"

Key = tuple[str, int]
"""A model's name and version."""


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
    """Why the last load failed, or what is waited for before there is one; empty where nothing is wrong."""
    digest: str = ""
    """Of what is in memory; empty where nothing is."""
    fingerprint: str = ""
    size: int = 0
    changed: float = 0.0
    """Seconds since 1970."""
    failed: bool = False
    """Whether the last load failed."""


class Residents(Generic[ResidentT]):
    """Models by name, version and alias. Lives in the event loop; `changed` is told the key of whatever changes.

    A version may be in memory more than once: what was loaded last is served, what it replaced is leaving until the
    last request that has it ends.
    """

    def __init__(
        self,
        models: Iterable[ResidentT] = (),
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.time,
        changed: Callable[[Key], object] = lambda _: None,
    ) -> None:
        self._bounds = bounds
        self._clock = clock
        self.changed = changed
        self.awaited = Awaited()
        self._served: dict[Key, ResidentT] = {}
        self._leaving: list[ResidentT] = []
        self._coming: Coming[Key] = Coming()
        self._aliases: dict[str, dict[str, int]] = {}
        self._problems: dict[Key, str] = {}
        self._waits: dict[Key, str] = {}
        self._when: dict[Key, float] = {}
        self._meanings: dict[str, ResidentT] = {}
        for model in models:
            self.ready(model)

    @property
    def served(self) -> Sequence[ResidentT]:
        """All that can be asked for, sorted by name, then version."""
        return [self._served[key] for key in sorted(self._served)]

    @property
    def leaving(self) -> Sequence[ResidentT]:
        """All that are served no more and still in memory, in the order in which they were replaced or unloaded."""
        return list(self._leaving)

    @property
    def statuses(self) -> Sequence[Status]:
        """Of every version that is known, sorted by name, then version."""
        return [self.status(key) for key in sorted(self._when)]

    def status(self, key: Key) -> Status:
        """Of one version."""
        here = next((model for model in reversed(self._leaving) if _key(model) == key), None)
        here = self._served.get(key, here)
        return Status(
            *key,
            state=self._state(key),
            loading=key in self._coming.keys,
            problem=self._problems.get(key) or self._waits.get(key, ""),
            digest=here.digest if here else "",
            fingerprint=here.fingerprint if here else "",
            size=here.size if here else 0,
            changed=self._when.get(key, 0.0),
            failed=key in self._problems,
        )

    def aliases(self, name: str) -> Mapping[str, int]:
        """The aliases of a model, and the versions that they name."""
        return dict(sorted(self._aliases.get(name, {}).items()))

    def names_of(self, key: Key) -> Sequence[str]:
        """The aliases that name a version, sorted."""
        return [alias for alias, version in self.aliases(key[0]).items() if version == key[1]]

    def find(self, reference: str) -> ResidentT:
        """The model "name", "name@version" or "name@alias". Raises ModelNotFound, or ModelLoading of `awaited`."""
        model = self._meanings.get(reference)
        if model is None or self.awaited.holds(reference):
            self.awaited.check(reference)
            raise ModelNotFound(_NOT_FOUND)
        return model

    def meant(self, reference: str) -> ResidentT | None:
        """The same; None where there is none."""
        return self._meanings.get(reference)

    def key(self, reference: str) -> Key | None:
        """What a reference means, served or loading for the first time; None where nothing is."""
        served = self._meanings.get(reference)
        if served is not None:
            return _key(served)
        name, at, version = reference.partition("@")
        coming = [key for key in self._coming.keys if key[0] == name]
        # The one way to write a number: "02" names nothing.
        return max((key for key in coming if not at or str(key[1]) == version), default=None)

    def expect(self, key: Key) -> None:
        """A version is being loaded as far as anybody can tell: its turn will come, and until then it takes no room."""
        self._coming.expect(key)
        self._tell(key)

    def begin(self, key: Key, size: int) -> None:
        """A version of so many bytes, of which nothing is loading, is being loaded. Raises RepositoryFull."""
        held = [*(model.size for model in (*self._served.values(), *self._leaving)), *self._coming.sizes]
        self._bounds.check(len(held), sum(held), size)
        self._coming.begin(key, size)
        self._waits.pop(key, None)
        self._tell(key)

    def ready(self, model: ResidentT) -> ResidentT | None:
        """A model is served from now on: what was served in its place until now, which is leaving."""
        key = _key(model)
        self._coming.end(key)
        self._problems.pop(key, None)
        replaced = self._served.get(key)
        if replaced is not None:
            self._leaving.append(replaced)
        self._served[key] = model
        self._tell(key)
        return replaced

    def failed(self, key: Key, problem: str) -> None:
        """A version could not be loaded, for no fault of its own where there is no problem.

        What was served in its place is served on.
        """
        self._coming.end(key)
        if problem:
            self._problems[key] = problem
        self._tell(key)

    def leave(self, key: Key) -> ResidentT:
        """A version is served no more, and is leaving. Raises ModelNotFound or ModelInUse."""
        return self.leave_all([key])[0]

    def leave_all(self, keys: Sequence[Key]) -> Sequence[ResidentT]:
        """Versions are served no more, and are leaving: all of them or none. Raises as `leave`."""
        for key in keys:
            if key not in self._served:
                raise ModelNotFound("no such version is served")
            if names := self.names_of(key):
                text = f"the alias {names[0]} names it; have it name another version first"
                raise ModelInUse(text, {"alias": names[0]})
        left = [self._served.pop(key) for key in keys]
        self._leaving += left
        for key in keys:
            self._problems.pop(key, None)
            self._tell(key)
        return left

    def gone(self, model: ResidentT) -> None:
        """What was leaving has left memory."""
        self._leaving = [each for each in self._leaving if each is not model]
        self._tell(_key(model))

    def forgive(self, key: Key) -> None:
        """That a version could not be loaded is of no concern any more: nothing lies there now."""
        if self._problems.pop(key, None) is not None:
            self._tell(key)

    def wait(self, key: Key, why: str) -> None:
        """A version is not loaded yet, and why not; or "" where that is over."""
        self._waits.pop(key, None)
        if why:
            self._waits[key] = why
        self._tell(key)

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Have an alias name a version that is served; None removes it. Raises ModelNotFound."""
        before = self._aliases.get(name, {}).get(alias)
        if version is None and before is None:
            raise ModelNotFound("no such alias is set")
        if version is not None and (name, version) not in self._served:
            raise ModelNotFound("no such version is served")
        named = {**self._aliases.pop(name, {}), alias: version}
        if kept := {each: number for each, number in named.items() if number is not None}:
            self._aliases[name] = kept
        if alias == DEFAULT:
            self.awaited.release(name)
        for number in {each for each in (before, version) if each is not None}:
            self._tell((name, number))

    def _state(self, key: Key) -> State:
        if key in self._served:
            return State.READY
        if key in self._coming.keys:
            return State.LOADING
        if any(_key(model) == key for model in self._leaving):
            return State.UNLOADING
        return State.FAILED if key in self._problems else State.UNLOADED

    def _tell(self, key: Key) -> None:
        self._when[key] = self._clock()
        self._meanings = dict(self._all_meanings())
        self._forget()
        self.changed(key)

    def _all_meanings(self) -> Iterator[tuple[str, ResidentT]]:
        """What every reference to what is served means; a later one holds."""
        for model in self.served:
            yield model.name, model
            yield f"{model.name}@{model.version}", model
        for name, aliases in self._aliases.items():
            for alias, version in aliases.items():
                yield f"{name}@{alias}", self._served[name, version]
            if DEFAULT in aliases:
                yield name, self._served[name, aliases[DEFAULT]]

    def _forget(self) -> None:
        """Know no more of what has been out of memory for longest: versions come and go for as long as we serve."""
        past = [key for key in self._when if self._state(key) in (State.FAILED, State.UNLOADED)]
        for key in sorted(past, key=lambda key: self._when[key])[: max(0, len(past) - MOST_PAST)]:
            del self._when[key]
            self._problems.pop(key, None)
            self._waits.pop(key, None)

    def __iter__(self) -> Iterator[ResidentT]:
        return iter(self.served)

    def __repr__(self) -> str:
        """Name the models that are served."""
        return f"Residents({', '.join(f'{model.name}@{model.version}' for model in self.served)})"


def _key(model: Resident) -> Key:
    return model.name, model.version
