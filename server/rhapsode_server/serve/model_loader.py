"""Loads a version from the models folder as those that are served were loaded.

Everything here takes its time: it is not for the event loop.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rhapsode_server.errors import BundleError, LoadChanged, LoadFailed, ModelNotFound, StartupError
from rhapsode_server.repository import bundle, files, folders, loading
from rhapsode_server.repository.bundle import Announced
from rhapsode_server.repository.in_child import PROGRAM, Bounds, Leash, Rehearsed, rehearse_in_child
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.rehearsals import Rehearsals
from rhapsode_server.repository.residents import Key
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.runtime.providers import Runtime
from rhapsode_server.serve.memory import loaded_apart

_MOST_NAMED = 10

FIRST_SECONDS = 120.0
"""For which a start loads models before it serves: less than probes give it (180 s in deploy/kubernetes)."""
_LAST_SECONDS = 20.0  # of these, in which none is begun any more


@dataclass(frozen=True, slots=True)
class Found:
    """A version that lies in the folder, sound or not."""

    key: Key
    folder: Path
    digest: str
    """Of its bundle.json; empty where that cannot be read."""
    graphs: frozenset[str] = frozenset()
    """The roles of its graphs, as that says."""


class Loader:
    """Finds versions by name and number, and loads them as those that are served were loaded."""

    def __init__(
        self,
        models: Path,
        runtime: Runtime,
        batching: Batching,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._models = models
        self._runtime = runtime
        self._batching = batching
        self._bounds = bounds
        self._program = program

    def find(self, name: str, version: int | None) -> Found:
        """The version of that number, or the newest. Raises ModelNotFound, or LoadFailed where nobody can look."""
        try:
            there = folders.versions(self._models, name)
        except StartupError as error:
            raise LoadFailed("the folder of models cannot be read") from error
        number = max(there, default=None) if version is None else version
        if number is None or number not in there:
            raise ModelNotFound(_absent(there))
        try:
            said = bundle.announced(there[number])
        except BundleError:  # which is told when its turn comes
            return Found((name, number), there[number], "")
        return Found((name, number), there[number], said.digest, said.graphs)

    def announced(self, found: Found) -> Announced:
        """What its bundle.json says now. Raises BundleError."""
        return bundle.announced(found.folder)

    def load(self, found: Found, announced: Announced, leash: Leash) -> LoadedModel:
        """Load what was announced: in a child first, which may crash; then here. Raises StartupError."""
        folder = found.folder
        seen = self._rehearse(folder, leash)
        if seen.digest == announced.digest and not leash.pulled:
            with loaded_apart():
                model = loading.load(folder, self._runtime, self._batching)
            if model.digest == seen.digest:
                return model
        raise LoadChanged(f"bundle {files.label(folder)}: it was changed while it was loaded; load it again")

    def _rehearse(self, folder: Path, leash: Leash) -> Rehearsed:
        return rehearse_in_child(folder, self._runtime.options, self._batching, self._bounds, self._program, leash)


class FirstLoader(Loader):
    """Loads many, one after another, before anything is served: rehearsed by one child for as long as it lives.

    One that takes for ever must not keep all others from being served: each may take half of the time that is left,
    since it is loaded here after its rehearsal.
    """

    def __init__(
        self, models: Path, runtime: Runtime, batching: Batching, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(models, runtime, batching)
        self._rehearsals = Rehearsals(runtime.options, batching)
        self._clock = clock
        self._end = clock() + FIRST_SECONDS

    @property
    def late(self) -> bool:
        """Whether it is time to serve what there is."""
        return self._left < _LAST_SECONDS

    @property
    def bounds(self) -> Bounds:
        """What the next one may take."""
        return Bounds(self._left / 2)

    def close(self) -> None:
        """No more is to be loaded."""
        self._rehearsals.close()

    @property
    def _left(self) -> float:
        return self._end - self._clock()

    def _rehearse(self, folder: Path, _leash: Leash) -> Rehearsed:
        return self._rehearsals.rehearse(folder, self.bounds)


def _absent(there: Iterable[int]) -> str:
    """What to tell who asked for another version than lie there: the newest of those."""
    versions = sorted(there, reverse=True)
    if not versions:
        return "no model of that name lies in the folder of models"
    some = ", ".join(map(str, versions[:_MOST_NAMED]))
    return f"no such version lies in the folder of models; there is {some}" + ", …" * (len(versions) > _MOST_NAMED)
