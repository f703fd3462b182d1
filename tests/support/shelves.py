"""Small fakes of what a model control needs: a folder of bundles, what loads them, and what holds the models."""

import asyncio
import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

from rhapsode_server.errors import BundleError, LoadChanged, LoadCrashed, ModelNotFound
from rhapsode_server.observe.logs import Log, open_log
from rhapsode_server.repository.bundle import Announced
from rhapsode_server.repository.in_child import Leash
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.residents import Key, Residents
from rhapsode_server.serve.model_loader import Found

FATES: dict[str, type[Exception]] = {
    "refused": BundleError,
    "crashed": LoadCrashed,
    "changed": LoadChanged,
    "a bug": KeyError,
}


@dataclass(frozen=True, eq=False)
class Model:
    """One in memory, as far as its control has to know it."""

    name: str
    version: int
    digest: str
    size: int = 1
    fingerprint: str = "same"
    batch_invariant: bool = True
    form: str = ""
    unfused_reason: str = ""
    load_seconds: float = 0.0


@dataclass(frozen=True)
class Bundle:
    """One in the folder, and what becomes of it when it is loaded: "good", or one of FATES."""

    digest: str
    size: int
    fate: str


class Folder:
    """Bundles that can be loaded; each load waits until it is let go."""

    def __init__(self) -> None:
        self.bundles: dict[Key, Bundle] = {}
        self.at_work: Found | None = None
        self._go: SimpleQueue[None] = SimpleQueue()

    def find(self, name: str, version: int | None) -> Found:
        there = [key for key in self.bundles if key[0] == name and version in (None, key[1])]
        if not there:
            raise ModelNotFound("no such version lies in the folder of models")
        key = max(there)
        return Found(key, Path(), self.bundles[key].digest)

    def announced(self, found: Found) -> Announced:
        if found.key not in self.bundles:
            raise BundleError("bundle.json is missing")
        return Announced(self.bundles[found.key].digest, self.bundles[found.key].size)

    def load(self, found: Found, announced: Announced, _leash: Leash) -> LoadedModel:
        self.at_work = found
        self._go.get()
        self.at_work = None
        bundle = self.bundles.get(found.key)
        if bundle is None or bundle.digest != announced.digest:
            raise LoadChanged("it was changed while it was loaded")
        if bundle.fate in FATES:
            raise FATES[bundle.fate]("a bundle is as it is")
        return loaded(Model(*found.key, bundle.digest, bundle.size))

    def let_go(self) -> None:
        """Let one load end."""
        self._go.put(None)


@dataclass
class Shelf:
    """What is driven, and how many requests hold each."""

    residents: Residents[LoadedModel]
    driven: list[Any] = field(default_factory=list)
    held: Counter[Any] = field(default_factory=Counter)

    def add(self, model: LoadedModel) -> None:
        self.driven.append(model)

    async def retire(self, model: LoadedModel) -> None:
        while self.held[model]:
            await asyncio.sleep(0)
        self.driven.remove(model)


def loaded(model: Model) -> LoadedModel:
    """One that stands for a loaded one."""
    return cast("LoadedModel", model)


def quiet_log() -> Log:
    """A log that nobody reads."""
    return open_log("info", "json", "0", io.StringIO())
