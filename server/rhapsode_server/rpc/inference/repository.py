"""The repository of models, as clients of the Open Inference Protocol list and change it."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from rhapsode.oip import inference_pb2
from rhapsode_server.errors import ControlElsewhere, InvalidField
from rhapsode_server.repository.residents import State, Status
from rhapsode_server.rpc.caller import may_use
from rhapsode_server.rpc.catalog import UNKNOWN, Catalog
from rhapsode_server.rpc.inference.models import VERSION, check_name
from rhapsode_server.rpc.references import bundle_of

Index = inference_pb2.RepositoryIndexResponse.ModelIndex
Parameters = Mapping[str, inference_pb2.ModelRepositoryParameter]
_STATES: Mapping[State, str] = MappingProxyType(
    {
        State.READY: "READY",
        State.LOADING: "LOADING",
        State.UNLOADING: "UNLOADING",
        State.UNLOADED: "UNAVAILABLE",
        State.FAILED: "UNAVAILABLE",
    }
)
_HARMLESS = frozenset(("unload_dependents",))
_VERSION = "version"


class ModelControl(Protocol):
    """Loads bundles of the server's folder and lets them go."""

    async def load(self, name: str, version: int | None, graph: str) -> object:
        """Load a version, or the newest, anew where it is loaded, if it has the graph. Raises RequestError."""
        ...

    async def unload(self, name: str, version: int | None, graph: str) -> object:
        """Let a version go, or all, that have the graph, once its requests are done. Raises RequestError."""
        ...


class Repository:
    """`control` is None where clients may change nothing."""

    def __init__(self, catalog: Catalog, control: ModelControl | None) -> None:
        self._catalog = catalog
        self._control = control

    def index(self, *, ready: bool) -> Sequence[Index]:
        """Every version that is known and that the client may use: each graph of those in memory, others as a whole."""
        graphs = {(each.loaded.name, each.loaded.version): list(each.graphs) for each in self._catalog.usable}
        listed = [
            Index(name=name, version=str(status.version), state=_STATES[status.state], reason=_reason(status))
            for status in self._catalog.residents.statuses
            if may_use(status.name) and (status.state is State.READY or not ready)
            for name in _names(status, graphs.get((status.name, status.version), []))
        ]
        return sorted(listed, key=lambda each: (each.name, int(each.version)))

    async def load(self, asked: inference_pb2.RepositoryModelLoadRequest) -> None:
        """Load what a request names. Raises RequestError."""
        means = _read(asked.repository_name, asked.model_name, asked.parameters)
        await self._controlled().load(*means)

    async def unload(self, asked: inference_pb2.RepositoryModelUnloadRequest) -> None:
        """Let go what a request names. Raises RequestError."""
        means = _read(asked.repository_name, asked.model_name, asked.parameters)
        await self._controlled().unload(*means)

    def _controlled(self) -> ModelControl:
        if self._control is None:
            text = "models are loaded at the admin address, by ModelService; --model-control clients allows it here"
            raise ControlElsewhere(text)
        return self._control


def check_repository(name: str) -> None:
    """Raise InvalidField where a repository is named."""
    if name:
        raise InvalidField("repository_name", "must be empty: there is one repository")


def _read(repository: str, name: str, parameters: Parameters) -> tuple[str, int | None, str]:
    """The bundle and version that a request means, and the graph that it must have, empty where it names none."""
    check_repository(repository)
    check_name(name, "model_name")
    for key in parameters:
        if key not in _HARMLESS and key != _VERSION:
            raise InvalidField("parameters", "may have version only: nothing is loaded from a request")
    bundle, role = bundle_of(name)
    version = _version(parameters[_VERSION]) if _VERSION in parameters else None
    # To this client a model that it may not use is one that there is not.
    return bundle if may_use(bundle) else UNKNOWN, version, role


def _version(given: inference_pb2.ModelRepositoryParameter) -> int:
    kind = given.WhichOneof("parameter_choice")
    text = str(getattr(given, kind)) if kind in ("int64_param", "string_param") else ""
    if not VERSION.fullmatch(text) or not text[:1].isdigit():
        raise InvalidField("parameters.version", "must be the number of a version")
    return int(text)


def _names(status: Status, graphs: Sequence[str]) -> Iterator[str]:
    yield from (f"{status.name}.{role}" for role in graphs) if graphs else (status.name,)


def _reason(status: Status) -> str:
    """Why it is not ready, or could not be loaded anew."""
    return status.problem or ("unloaded" if status.state is State.UNLOADED else "")
