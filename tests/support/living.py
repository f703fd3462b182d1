"""Models that come to a server in this process, and go."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from rhapsode_server.repository import loading
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.registry import Batching
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles
from support.server import Loaded, load


@dataclass(frozen=True)
class Versions:
    """A model of texts, one of faces and a critic of those: two versions of each, of which the first is loaded."""

    first: Loaded
    folder: Path

    def load(self, name: str, version: int = 2) -> LoadedModel:
        """Load one."""
        return load_one(self.folder / str(version) / name / str(version))


def write_versions(folder: Path) -> Versions:
    """Write both, each below a folder of its own."""
    for version in (1, 2):
        below = folder / str(version)
        bundles.stepper(version=version, seed=version).write(below)
        bundles.autoencoder(version=version, seed=version).write(below)
        bundles.judge(version=version, seed=version).write(below)
    return Versions(load(folder / "1"), folder)


def load_one(folder: Path) -> LoadedModel:
    """Load a bundle on the CPU, with one thread a run."""
    return loading.load(folder, Runtime(RuntimeOptions(provider="cpu", threads=1)), Batching(max_batch=16))


def begin(catalog: Catalog, loaded: LoadedModel) -> None:
    """Have a model be loading."""
    catalog.residents.begin((loaded.name, loaded.version), loaded.size)


def arrive(catalog: Catalog, loaded: LoadedModel) -> LoadedModel | None:
    """Have a model that is loading be served: what it replaces, to be retired."""
    catalog.add(loaded)
    return catalog.residents.ready(loaded)


def come(catalog: Catalog, loaded: LoadedModel) -> LoadedModel | None:
    """Have a model be served, at one moment: what it replaces, to be retired."""
    begin(catalog, loaded)
    return arrive(catalog, loaded)


async def leave(catalog: Catalog, loaded: LoadedModel) -> None:
    """Have a model that is served go."""
    await away(catalog, catalog.residents.leave((loaded.name, loaded.version)))


async def away(catalog: Catalog, loaded: LoadedModel) -> None:
    """Have a model that is served no more go."""
    await catalog.retire(loaded)
    catalog.residents.gone(loaded)


async def until_free(catalog: Catalog, loaded: LoadedModel) -> None:
    """Wait until no rpc holds a model: the server ends an rpc a moment after its client has the answer."""
    async with asyncio.timeout(30):
        while catalog.holders(loaded):
            await asyncio.sleep(0)
