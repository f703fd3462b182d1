"""The models as the rpcs see them: found by reference, driven until nobody needs them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial

from rhapsode_server.config import Config
from rhapsode_server.errors import DeviceLost, DriverDied, RhapsodeError
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.repository.registry import LoadedModel, Registry
from rhapsode_server.repository.residents import Key, Residents, State
from rhapsode_server.repository.room import Bounds
from rhapsode_server.rpc.arrivals import Arrivals
from rhapsode_server.rpc.caller import may_use
from rhapsode_server.rpc.leases import Holders, hold
from rhapsode_server.rpc.references import reference_of
from rhapsode_server.rpc.served import AnyDriver, Feel, Served, serve

UNKNOWN = "_unknown"  # no model can bear this name
Listener = Callable[[Key], object]
"""Told the key of a version, in the event loop."""


@dataclass(frozen=True, slots=True)
class _Driven:
    """A model in memory, and who holds it."""

    served: Served
    holders: Holders = field(default_factory=Holders)


class Catalog:
    """All models of the server. Lives in the event loop.

    `residents` says what is served; each model that it names has been added before, and is retired after.
    """

    def __init__(
        self,
        registry: Registry,
        config: Config,
        metrics: Metrics,
        traces: Traces = NO_TRACES,
        feel: Feel = lambda *_: None,
    ) -> None:
        self._metrics = metrics
        self._feel = feel
        self._serve = partial(serve, config=config, metrics=metrics, traces=traces)
        self._driven: dict[int, _Driven] = {}
        self._current: dict[Key, LoadedModel] = {}
        self._listeners: list[Listener] = []
        self._switched: list[Listener] = []
        self.residents = Residents(registry.models, Bounds(config.max_models, config.max_model_bytes))
        self._arrivals = Arrivals(self.residents)
        self.residents.changed = self._tell
        for loaded in registry.models:
            self._take(loaded)
            self._current[_key(loaded)] = loaded
        self._named: Set[str] = self.names.keys()
        self._tell_loads()
        metrics.versions.count(lambda: len(self._current), lambda: len(self._driven) - len(self._current))
        metrics.versions.aliases_waiting.set_function(lambda: self.residents.awaited.count)

    @property
    def models(self) -> Sequence[Served]:
        """Those that can be asked for, sorted by name, then version."""
        return [self._driven[id(loaded)].served for loaded in self.residents.served]

    @property
    def usable(self) -> Sequence[Served]:
        """Those that the rpc's client may use."""
        return [served for served in self.models if may_use(served.loaded.name)]

    @property
    def names(self) -> Mapping[str, bool]:
        """The names of models that are served, or are being loaded: whether the first is so."""
        coming = {status.name: False for status in self.residents.statuses if status.state is State.LOADING}
        return coming | {loaded.name: True for loaded in self.residents.served}

    def find(self, reference: str) -> Served:
        """The model "name", "name@version" or "name@alias", which the rpc holds from now on.

        A model that the rpc's client may not use is to that client one that there is not. Raises ModelNotFound, or
        ModelLoading where it will be there, or may be on another server.
        """
        known = reference if may_use(_name(reference)) else UNKNOWN
        self._arrivals.check(known)
        driven = self._driven[id(self.residents.find(known))]
        hold(driven.holders)
        return driven.served

    @property
    def awaits(self) -> bool:
        """Whether there may be anything to await before a model is found."""
        return self._arrivals.any

    async def arrived(self, reference: str, seconds: float | None) -> None:
        """Wait for what a reference means where that is being loaded, for a client with so much time, None for none.

        Raises ModelLoading or ShuttingDown; of what is not being loaded there is nothing to wait for.
        """
        if may_use(_name(reference)):
            await self._arrivals.wait(reference, seconds)

    def label(self, request: object) -> str:
        """The name under which metrics count a request: its model's, or one for all models that there are not."""
        return self.label_of(_name(reference_of(request)))

    def label_of(self, name: str) -> str:
        """The same for the name of a model."""
        return name if name in self._named else UNKNOWN

    def listen(self, listener: Listener, *, switches: bool = False) -> None:
        """Have somebody told of each change of `residents`; or only where another is served, or none, as a version."""
        (self._switched if switches else self._listeners).append(listener)

    def expect_no_more(self) -> None:
        """Tell all that ask for what is still being loaded that the server stops: it will not come any more."""
        self._arrivals.close()

    def start(self) -> None:
        """Start to drive all models, in the running event loop."""
        for driver in self.drivers():
            driver.start()

    def add(self, loaded: LoadedModel) -> Served:
        """Drive one more model, in the running event loop; it can be asked for when `residents` says so.

        Where that cannot be, nothing of it is kept: a machine may have no room for its threads.
        """
        try:
            served = self._take(loaded)
            for driver in served.drivers:
                driver.start()
        except Exception:
            self._take_back(loaded)
            raise
        return served

    async def retire(self, loaded: LoadedModel) -> None:
        """Drive a model no more, which `residents` has let go: once no rpc holds it. Nothing of it is kept here.

        May be cancelled: what is left of it ends with the catalog, or with another call.
        """
        driven = self._driven[id(loaded)]
        await driven.holders.none()
        await asyncio.gather(*(driver.retire() for driver in driven.served.drivers))
        self._driven.pop(id(loaded), None)
        if not self._of(_key(loaded)):
            self._metrics.unloaded(loaded.name, loaded.version)
        self._count(loaded.name)

    def holders(self, loaded: LoadedModel) -> int:
        """How many rpcs hold a model that is in memory."""
        return self._driven[id(loaded)].holders.count

    async def stop(self) -> None:
        """End what is under way, and every driver's thread: all at once, since one that hangs is waited for."""
        self.expect_no_more()
        await asyncio.gather(*(driver.stop() for driver in self.drivers()))

    def drivers(self) -> Sequence[AnyDriver]:
        """Those of all models in memory, with those that cannot be asked for yet, or not any more. From any thread."""
        return [driver for driven in list(self._driven.values()) for driver in driven.served.drivers]

    def _take(self, loaded: LoadedModel) -> Served:
        driven = self._driven[id(loaded)] = _Driven(self._serve(loaded, feel=partial(self._hear, loaded)))
        return driven.served

    def _take_back(self, loaded: LoadedModel) -> None:
        """Be as before a model was taken that could not be driven."""
        taken, key = self._driven.pop(id(loaded), None), _key(loaded)
        for driver in taken.served.drivers if taken else ():
            driver.call_off()
        if (current := self._current.get(key)) is not None:
            for driver in self._driven[id(current)].served.drivers:
                driver.own_gauges(True)
        elif not self._of(key):
            self._metrics.unloaded(*key)

    def _of(self, key: Key) -> Sequence[Served]:
        """All in memory that are one version: what is served, and what that has replaced."""
        return [each.served for each in self._driven.values() if _key(each.served.loaded) == key]

    def _hear(self, loaded: LoadedModel, lane: str, error: RhapsodeError | None) -> None:
        """Pass on how a graph is; of one that nobody can ask for any more, only what is the end of all."""
        if self._current.get(_key(loaded)) is loaded or isinstance(error, DeviceLost | DriverDied):
            self._feel(lane, error)

    def _tell(self, key: Key) -> None:
        self._arrivals.changed(key)
        switched = self._switch(key)
        self._count(key[0])
        self._tell_loads()
        for listener in [*self._listeners, *(self._switched if switched else ())]:
            listener(key)

    def _switch(self, key: Key) -> bool:
        """Have the gauges of a version be those of what is served as it: whether that is another than before."""
        before = self._current.pop(key, None)
        now = next((loaded for loaded in self.residents.served if _key(loaded) == key), None)
        if now is not None:
            self._current[key] = now
        if now is not None and now is not before:
            for served in self._of(key):
                for driver in served.drivers:
                    driver.own_gauges(served.loaded is now)
        return now is not before

    def _tell_loads(self) -> None:
        """Say in the metrics of all that is in memory, and of what failed, whether its last load did."""
        told = [each for each in self.residents.statuses if each.state is not State.UNLOADED]
        self._metrics.versions.loads({(each.name, each.version): each.failed for each in told})

    def _count(self, name: str) -> None:
        """Count requests by the names of models that are there, or on their way; of one that has gone nothing stays."""
        self._named = self.names.keys() | {each.served.loaded.name for each in self._driven.values()}
        if name not in self._named:
            self._metrics.forget(name)


def _key(loaded: LoadedModel) -> Key:
    return loaded.name, loaded.version


def _name(reference: str) -> str:
    return reference.partition("@")[0]
