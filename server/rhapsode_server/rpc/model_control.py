"""rhapsode.v1.ModelService as operators have it: it says what is served, and changes it."""

from collections.abc import Sequence
from typing import Protocol

from rhapsode.v1 import model_pb2
from rhapsode_server.config import Config
from rhapsode_server.repository.residents import Status
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.caller import may_use
from rhapsode_server.rpc.catalog import UNKNOWN, Catalog
from rhapsode_server.rpc.convert_models import Ground, status_message
from rhapsode_server.rpc.model_watches import ModelWatches
from rhapsode_server.rpc.models import ModelService
from rhapsode_server.rpc.routes import Service, service


class Control(Protocol):
    """What does as operators say. What it has begun goes on when the wait for it is cancelled."""

    async def load(self, name: str, version: int | None = None) -> Status:
        """Load a version, or the newest in the folder, and serve it: how it stands then.

        Raises ModelNotFound, RepositoryFull, LoadFailed or ShuttingDown.
        """

    async def unload(self, name: str, version: int | None = None) -> Sequence[Status]:
        """Serve a version no more, or all of a name; how they stand once they are out of memory.

        Raises ModelNotFound, ModelInUse or ShuttingDown.
        """

    def set_alias(self, name: str, alias: str, version: int | None) -> None:
        """Have an alias name a version that is served; None removes it. Raises ModelNotFound or ShuttingDown."""


class ModelControlService(ModelService):
    """All of ModelService. Models that a client may not use are to that client models that there are not."""

    def __init__(self, catalog: Catalog, config: Config, ground: Ground, control: Control) -> None:
        super().__init__(catalog, config, ground)
        self._control = control
        self.watches = ModelWatches(catalog)

    def service(self) -> Service:
        """What to register."""
        return service(model_pb2.DESCRIPTOR.services_by_name["ModelService"], self)

    async def LoadModel(self, request: model_pb2.LoadModelRequest, _call: Call) -> model_pb2.LoadModelResponse:
        """Load a version and serve it."""
        status = await self._control.load(*_meant(request.model))
        return model_pb2.LoadModelResponse(status=self._told(status))

    async def UnloadModel(self, request: model_pb2.UnloadModelRequest, _call: Call) -> model_pb2.UnloadModelResponse:
        """Serve a version no more, or all versions."""
        statuses = await self._control.unload(*_meant(request.model))
        return model_pb2.UnloadModelResponse(statuses=map(self._told, statuses))

    async def SetModelAlias(
        self, request: model_pb2.SetModelAliasRequest, _call: Call
    ) -> model_pb2.SetModelAliasResponse:
        """Have an alias name another version, or none."""
        name, _ = _meant(request.model)
        version = request.version if request.HasField("version") else None
        self._control.set_alias(name, request.alias, version)
        aliases = self._catalog.residents.aliases(name).items()
        return model_pb2.SetModelAliasResponse(
            aliases=(model_pb2.ModelAlias(alias=alias, version=version) for alias, version in aliases)
        )

    async def WatchModels(self, _request: model_pb2.WatchModelsRequest, call: Call) -> None:
        """Tell the state of all versions, then of each that changes."""
        await self.watches.tell(call)

    def _told(self, status: Status) -> model_pb2.ModelStatus:
        return status_message(status, self._catalog.residents.names_of((status.name, status.version)))


def _meant(reference: str) -> tuple[str, int | None]:
    """The name and the version in "name" or "name@version", whose form was checked with the request's bounds."""
    name, _, version = reference.partition("@")
    return name if may_use(name) else UNKNOWN, int(version) if version else None
