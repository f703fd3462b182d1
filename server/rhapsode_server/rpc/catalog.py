"""The models as the rpcs see them: found by reference, driven until nobody needs them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from rhapsode_server.config import Config
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.repository.registry import LoadedModel, Registry
from rhapsode_server.repository.residents import Bounds, Key, Residents
from rhapsode_server.rpc.caller import CALLER
from rhapsode_server.rpc.leases import Holders, hold
from rhapsode_server.rpc.served import (
    ROLES,
    AnyDriver,
    CriticDriver,
    DecodeDriver,
    DenoiseDriver,
    EncodeDriver,
    Feel,
    GibbsDriver,
    MakeRow,
    PictureDriver,
    PictureRow,
    Served,
    TensorDriver,
    TextCriticDriver,
    TextDriver,
    TransformDriver,
    serve,
)

__all__ = [
    "ROLES",
    "UNKNOWN",
    "AnyDriver",
    "Catalog",
    "CriticDriver",
    "DecodeDriver",
    "DenoiseDriver",
    "EncodeDriver",
    "Feel",
    "GibbsDriver",
    "MakeRow",
    "PictureDriver",
    "PictureRow",
    "Served",
    "TensorDriver",
    "TextCriticDriver",
    "TextDriver",
    "TransformDriver",
]

UNKNOWN = "_unknown"  # no model can bear this name


Listener = Callable[[Key], object]
"""Told the key of a version of which something has changed."""


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
        self._serve = partial(serve, config=config, metrics=metrics, traces=traces, feel=feel)
        self._driven = {id(loaded): _Driven(self._serve(loaded)) for loaded in registry.models}
        self._listeners: list[Listener] = []
        bounds = Bounds(config.max_models, config.max_model_bytes)
        self.residents = Residents(registry.models, bounds, changed=self._tell)

    @property
    def models(self) -> Sequence[Served]:
        """Those that can be asked for, sorted by name, then version."""
        return [self._driven[id(loaded)].served for loaded in self.residents.served]

    @property
    def usable(self) -> Sequence[Served]:
        """Those that the rpc's client may use."""
        return [served for served in self.models if _may_use(served.loaded.name)]

    def find(self, reference: str) -> Served:
        """The model "name", "name@version" or "name@alias", which the rpc holds from now on. Raises ModelNotFound.

        A model that the rpc's client may not use is to that client one that there is not.
        """
        known = _may_use(reference.partition("@")[0])
        driven = self._driven[id(self.residents.find(reference if known else UNKNOWN))]
        hold(driven.holders)
        return driven.served

    def label(self, request: object) -> str:
        """The name under which metrics count a request: its model's, or one for all models that there are not."""
        reference = getattr(getattr(request, "generation", request), "model", "")
        name = reference.partition("@")[0]
        return name if any(name == each.served.loaded.name for each in self._driven.values()) else UNKNOWN

    def listen(self, listener: Listener) -> None:
        """Have somebody told of every change of `residents`, in the event loop, as it happens."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Start to drive all models, in the running event loop."""
        for driver in self.drivers():
            driver.start()

    def add(self, loaded: LoadedModel) -> Served:
        """Drive one more model, in the running event loop; it can be asked for when `residents` says so."""
        driven = self._driven[id(loaded)] = _Driven(self._serve(loaded))
        for driver in driven.served.drivers:
            driver.start()
        return driven.served

    async def retire(self, loaded: LoadedModel) -> None:
        """Drive a model no more, which `residents` has let go: once no rpc holds it. Nothing of it is kept here.

        May be cancelled: what is left of it ends with the catalog, or with another call.
        """
        driven = self._driven[id(loaded)]
        await driven.holders.none()
        await asyncio.gather(*(driver.retire() for driver in driven.served.drivers))
        del self._driven[id(loaded)]

    def holders(self, loaded: LoadedModel) -> int:
        """How many rpcs hold a model that is in memory."""
        return self._driven[id(loaded)].holders.count

    async def stop(self) -> None:
        """End what is under way, and every driver's thread: all at once, since one that hangs is waited for."""
        await asyncio.gather(*(driver.stop() for driver in self.drivers()))

    def drivers(self) -> Sequence[AnyDriver]:
        """Those of all models in memory, with those that cannot be asked for yet, or not any more."""
        return [driver for driven in self._driven.values() for driver in driven.served.drivers]

    def _tell(self, key: Key) -> None:
        for listener in self._listeners:
            listener(key)


def _may_use(name: str) -> bool:
    caller = CALLER.get()
    return caller is None or caller.may_use(name)
