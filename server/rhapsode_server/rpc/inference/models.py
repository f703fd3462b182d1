"""The models of the Open Inference Protocol: "<bundle>.<role>", and a version."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from weakref import WeakKeyDictionary

from rhapsode_server.errors import InvalidField, ModelNotFound
from rhapsode_server.observe.lanes import Role
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.inference.graphs import GraphSpec, graph_spec
from rhapsode_server.rpc.served import ROLES, Served, TensorDriver

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,73}")  # a bundle's, a full stop, a role
VERSION = re.compile(r"([1-9][0-9]{0,8}|[a-z][a-z0-9_-]{0,31})?")
_NUMBERS: Mapping[str, int] = MappingProxyType({role: number for number, role in ROLES.items()})


@dataclass(frozen=True, slots=True)
class Found:
    """A graph of one version of a bundle."""

    name: str
    served: Served
    driver: TensorDriver
    graph: GraphSpec

    @property
    def version(self) -> str:
        """Its number."""
        return str(self.served.loaded.version)


class Models:
    """Those that the rpc's client may use."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._specs: WeakKeyDictionary[TensorDriver, GraphSpec] = WeakKeyDictionary()

    def find(self, name: str, version: str, field: str = "name", version_field: str = "version") -> Found:
        """The model of a name and a version: a number, an alias, or empty.

        Raises InvalidField, naming one of the fields, for what is no name at all, ModelNotFound for what is nobody's.
        """
        check_name(name, field)
        _check(VERSION, version, version_field)
        bundle, _, role = name.rpartition(".")
        try:
            served = self._catalog.find(_reference(bundle, version))
            return self._found(served, next(each for each in served.graphs if each == role))
        except (ModelNotFound, StopIteration):
            text = (
                "no model of that name and version; names are <bundle>.<role>, and RepositoryIndex has those there are"
            )
            raise ModelNotFound(text) from None

    def holder(self, name: str, version: str) -> Served:
        """The bundle that a model is of; what RepositoryModelLoad takes, the bundle's own name, is good here too.

        Raises as `find`.
        """
        try:
            return self.find(name, version).served
        except ModelNotFound:
            return self._catalog.find(_reference(name, version))

    def all(self) -> Iterator[Found]:
        """Every graph of every version, by name, then version."""
        found = [self._found(served, role) for served in self._catalog.usable for role in served.graphs]
        return iter(sorted(found, key=lambda each: (each.name, each.served.loaded.version)))

    def versions(self, found: Found) -> Sequence[str]:
        """The numbers of all versions of a model that are served."""
        return [each.version for each in self.all() if each.name == found.name]

    def _found(self, served: Served, role: Role) -> Found:
        driver = served.graphs[role]
        spec = self._specs.get(driver)
        if spec is None:
            spec = self._specs[driver] = graph_spec(served.loaded.bundle, _NUMBERS[role])
        return Found(f"{served.loaded.name}.{role}", served, driver, spec)


def _reference(bundle: str, version: str) -> str:
    return f"{bundle}@{version}" if version else bundle


def check_name(name: str, field: str) -> None:
    """Raise InvalidField where no model could have the name."""
    _check(NAME, name, field)


def _check(pattern: "re.Pattern[str]", text: str, field: str) -> None:
    if not pattern.fullmatch(text):
        raise InvalidField(field, f"must match {pattern.pattern}", {"pattern": pattern.pattern})
