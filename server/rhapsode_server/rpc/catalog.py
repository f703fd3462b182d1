"""The models as the rpcs see them: found by reference, driven until nobody needs them."""

import asyncio
from collections.abc import Iterator, Sequence

from rhapsode_server.config import Config
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.repository.registry import Registry
from rhapsode_server.repository.residents import Bounds, Residents
from rhapsode_server.rpc.caller import CALLER
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


class Catalog:
    """All models of the server."""

    def __init__(
        self,
        registry: Registry,
        config: Config,
        metrics: Metrics,
        traces: Traces = NO_TRACES,
        feel: Feel = lambda *_: None,
    ) -> None:
        self.residents = Residents(registry.models, Bounds(config.max_models, config.max_model_bytes))
        self._served = {id(loaded): serve(loaded, config, metrics, traces, feel) for loaded in registry.models}
        self._names = frozenset(loaded.bundle.name for loaded in registry.models)

    @property
    def models(self) -> Sequence[Served]:
        """Sorted by name, then version."""
        return list(self._served.values())

    @property
    def usable(self) -> Sequence[Served]:
        """Those that the rpc's client may use."""
        return [served for served in self.models if _may_use(served.loaded.name)]

    def find(self, reference: str) -> Served:
        """The model "name" (its newest version) or "name@version". Raises ModelNotFound.

        A model that the rpc's client may not use is to that client one that there is not.
        """
        known = _may_use(reference.partition("@")[0])
        return self._served[id(self.residents.find(reference if known else UNKNOWN))]

    def label(self, request: object) -> str:
        """The name under which metrics count a request: its model's, or one for all models that there are not."""
        reference = getattr(getattr(request, "generation", request), "model", "")
        name = reference.partition("@")[0]
        return name if name in self._names else UNKNOWN

    def start(self) -> None:
        """Start to drive all models, in the running event loop."""
        for driver in self.drivers():
            driver.start()

    async def stop(self) -> None:
        """End what is under way, and every driver's thread: all at once, since one that hangs is waited for."""
        await asyncio.gather(*(driver.stop() for driver in self.drivers()))

    def drivers(self) -> Iterator[AnyDriver]:
        """Those of all models."""
        return (driver for served in self._served.values() for driver in served.drivers)


def _may_use(name: str) -> bool:
    caller = CALLER.get()
    return caller is None or caller.may_use(name)
