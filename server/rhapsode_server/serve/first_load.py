"""Which models a server begins with: all that should be served, or as many of them as can be."""

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Protocol

from rhapsode_server.config import Config
from rhapsode_server.errors import BundleError, LoadTooLong, StartupError
from rhapsode_server.repository.bundle import Announced
from rhapsode_server.repository.folders import bundle_folders
from rhapsode_server.repository.in_child import Leash, Rehearsed
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.registry import Failure, Registry
from rhapsode_server.repository.residents import Key, Residents
from rhapsode_server.repository.room import Bounds
from rhapsode_server.repository.schema import VERSION
from rhapsode_server.repository.sights import View, look
from rhapsode_server.repository.wanted import Aliases, wanted
from rhapsode_server.serve.load_failures import device_lost, told
from rhapsode_server.serve.model_loader import Found


class Loads(Protocol):
    """What finds and loads models."""

    def find(self, name: str, version: int | None) -> Found:
        """The version of that number. Raises ModelNotFound or LoadFailed."""

    def announced(self, found: Found) -> Announced:
        """What its bundle.json says. Raises BundleError."""

    def load(self, found: Found, announced: Announced, leash: Leash) -> LoadedModel:
        """Load it. Raises StartupError."""

    @property
    def late(self) -> bool:
        """Whether it is time to serve what there is."""


class Heard(Protocol):
    """Who is told how far it is."""

    def begins(self, bundle: str) -> None:
        """A version is next: "name/version"."""

    def loaded(self, model: LoadedModel | Rehearsed) -> None:
        """It is loaded."""

    def failed(self, key: Key, error: Exception) -> None:
        """It is left out."""

    def later(self, keys: Sequence[Key]) -> None:
        """They are left to the watch, for want of time."""


def view_of(models: Path) -> View:
    """What the folder holds. Raises StartupError where it cannot be looked into."""
    try:
        return look(models)
    except OSError as error:
        raise StartupError(f"the folder {str(models)!r} cannot be read: {error.strerror}") from error


def name_problems(view: View) -> Sequence[str]:
    """What is wrong with names: links that lead nowhere, files of aliases, aliases of what is not there."""
    links = [f"{name}: is a link that leads nowhere" for name in view.astray]
    unread = [named.problem for named in view.names.values() if named.problem]
    astray = [
        f"{name}/aliases.toml: {alias}: there is no version {version}"
        for name, named in view.names.items()
        for alias, version in named.aliases
        if (name, version) not in view.versions
    ]
    return [*links, *unread, *astray]


def all_wanted(config: Config, load: Callable[[Sequence[Path]], Sequence[LoadedModel]]) -> Registry:
    """Load what should be served, all of it. Raises StartupError with all that is wrong."""
    folders = bundle_folders(config.models)
    view = view_of(config.models)
    problems = [
        *(f"the folder {str(config.models / name)!r} cannot be read: {why}" for name, why in view.unread.items()),
        *name_problems(view),
    ]
    aliases = _aliases(view)
    keys = frozenset(wanted(view.versions, aliases, config.versions))
    if full := _too_many(config, view, keys):  # so they are not loaded to be looked at, either
        raise StartupError("\n".join([*problems, f"{full}: serve fewer with --versions, or allow more"]))
    try:
        # A folder whose name is no version's is loaded too: that refuses it.
        models = load([folder for folder in folders if (key := _key(folder)) is None or key in keys])
    except BundleError as error:
        problems = [*problems, error.message]
    if problems:
        raise StartupError("\n".join(problems))
    return Registry(models, aliases)


def all_that_can_be(config: Config, loads: Loads, heard: Heard) -> Registry:
    """Load what should be served, and leave out what cannot be, for older versions of it.

    What is not whole yet is left to the watch, as is what there is no time for, and an alias of what is not served.
    Raises StartupError where the folder cannot be looked into, DeviceLost.
    """
    view = view_of(config.models)
    aliases = _aliases(view)
    residents = Residents[LoadedModel](bounds=_bounds(config))
    failures: dict[Key, Failure] = {}
    slow: set[Key] = set()
    while due := _due(view, aliases, config.versions, residents, failures.keys() | slow):
        if loads.late:
            break
        key = due[0]
        try:
            residents.begin(key, view.versions[key].size)
            residents.ready(_load(loads, key, heard))
        except LoadTooLong:  # for a start, though the watch has more time
            residents.failed(key, "")
            slow.add(key)
        except Exception as error:  # of whatever kind: others are none the worse for it
            if device_lost(error):
                raise
            heard.failed(key, error)
            residents.failed(key, told(error).message)
            failures[key] = Failure(error, view.versions[key])
    if later := [*sorted(slow), *due]:
        heard.later(later)
    kept, awaited = _sorted_out(aliases, _keys(residents))
    unread = frozenset(name for name, named in view.names.items() if named.problem)
    return Registry(residents, kept, failures, awaited, unread)


def _load(loads: Loads, key: Key, heard: Heard) -> LoadedModel:
    """As a command would: a bundle that crashes what loads it would have the server end at each of its starts."""
    heard.begins("{}/{}".format(*key))
    found = loads.find(*key)
    model = loads.load(found, loads.announced(found), Leash())
    heard.loaded(model)
    return model


def _sorted_out(aliases: Aliases, served: frozenset[Key]) -> tuple[Aliases, Aliases]:
    """The aliases that name what is served, and those that do not."""
    there, awaited = (
        {
            name: {alias: version for alias, version in those.items() if ((name, version) in served) is good}
            for name, those in aliases.items()
        }
        for good in (True, False)
    )
    return there, awaited


def tell(registry: Registry, residents: Residents[LoadedModel]) -> None:
    """Have the residents know the aliases, and what could not be loaded."""
    for name, aliases in registry.aliases.items():
        for alias, version in aliases.items():
            residents.set_alias(name, alias, version)
    residents.awaited.begin(registry.awaited, registry.unread)
    for key, failure in registry.failures.items():
        residents.failed(key, told(failure.error).message)


def _due(
    view: View, aliases: Aliases, newest: int, residents: Residents[LoadedModel], tried: Set[Key]
) -> Sequence[Key]:
    """What has not been tried, the most important first; what failed leaves its place to an older one."""
    loaded = _keys(residents)
    sound = [key for key, sight in view.versions.items() if not sight.missing and key not in tried]
    return [key for key in wanted(sound, aliases, newest) if key not in loaded]


def _aliases(view: View) -> Aliases:
    return {name: dict(named.aliases) for name, named in view.names.items() if named.aliases}


def _bounds(config: Config) -> Bounds:
    return Bounds(config.max_models, config.max_model_bytes)


def _too_many(config: Config, view: View, keys: frozenset[Key]) -> str:
    """Why these are more than may be in memory; empty where they are not."""
    size = sum(view.versions[key].size for key in keys)
    if config.max_models and len(keys) > config.max_models:
        return f"{len(keys)} versions are to be served, --max-models allows {config.max_models}"
    if config.max_model_bytes and size > config.max_model_bytes:
        return f"the bundles to be served have {size} bytes, --max-model-bytes allows {config.max_model_bytes}"
    return ""


def _key(folder: Path) -> Key | None:
    """None where the folder's name is no version's."""
    return (folder.parent.name, int(folder.name)) if VERSION.fullmatch(folder.name) else None


def _keys(residents: Residents[LoadedModel]) -> frozenset[Key]:
    return frozenset((model.name, model.version) for model in residents)
