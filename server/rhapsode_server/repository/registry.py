"""The models that a server begins with: every bundle below one folder that should be served."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rhapsode_server.errors import BundleError, ModelNotFound
from rhapsode_server.repository import files, loading
from rhapsode_server.repository.folders import bundle_folders
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.residents import Key
from rhapsode_server.repository.sights import Sight
from rhapsode_server.repository.stepping import Batching
from rhapsode_server.repository.wanted import Aliases
from rhapsode_server.runtime.providers import Runtime

__all__ = ["Batching", "Failure", "LoadedModel", "Registry", "load", "load_folders"]

_NO_ALIASES: Aliases = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Failure:
    """A version that could not be loaded at the start, though others could."""

    error: Exception
    sight: Sight
    """Its folder, as it was then."""


_NO_FAILURES: Mapping[Key, Failure] = MappingProxyType({})


class Registry:
    """Models by name and version, as they were at the start."""

    def __init__(
        self,
        models: Iterable[LoadedModel],
        aliases: Aliases = _NO_ALIASES,
        failures: Mapping[Key, Failure] = _NO_FAILURES,
        awaited: Aliases = _NO_ALIASES,
        unread: Set[str] = frozenset(),
    ) -> None:
        self.aliases = aliases
        self.awaited = awaited
        self.unread = unread
        """The models whose file of aliases could not be read."""
        self.failures = failures
        self.models: tuple[LoadedModel, ...] = tuple(sorted(models, key=lambda model: (model.name, model.version)))
        # Later versions overwrite earlier ones under the bare name; dictionary lookup is all that a reference meets.
        self._by_reference = {model.name: model for model in self.models}
        self._by_reference |= {f"{model.name}@{model.version}": model for model in self.models}

    def find(self, reference: str) -> LoadedModel:
        """The model "name" (its newest version) or "name@version"; raises ModelNotFound."""
        try:
            return self._by_reference[reference]
        except KeyError:
            raise ModelNotFound("no model of that name and version; ListModels names those that are there") from None

    def let_go(self) -> None:
        """Hold none of them any more, so that those can go who are not needed."""
        self.models = ()
        self._by_reference = {}

    def __repr__(self) -> str:
        """Name the models."""
        return f"Registry({', '.join(f'{model.name}@{model.version}' for model in self.models)})"


def load(
    models: Path,
    runtime: Runtime,
    batching: Batching,
    progress: Callable[[LoadedModel], None] = lambda _: None,
    begin: Callable[[str], None] = lambda _: None,
) -> Registry:
    """Load every bundle models/<name>/<version>/; `begin` is told "name/version" before, `progress` the model after.

    Raises BundleError with the problems of all bundles at once, StartupError where there is no bundle at all.
    """
    return Registry(load_folders(bundle_folders(models), runtime, batching, progress, begin))


def load_folders(
    folders: Sequence[Path],
    runtime: Runtime,
    batching: Batching,
    progress: Callable[[LoadedModel], None] = lambda _: None,
    begin: Callable[[str], None] = lambda _: None,
) -> Sequence[LoadedModel]:
    """Load these. Raises BundleError with the problems of all at once."""
    loaded: list[LoadedModel] = []
    problems: list[str] = []
    for folder in folders:
        begin(files.label(folder))
        try:
            model = loading.load(folder, runtime, batching)
        except BundleError as error:
            problems.append(error.message)
        else:
            loaded.append(model)
            progress(model)
    if problems:
        raise BundleError("\n".join(problems))
    return loaded
