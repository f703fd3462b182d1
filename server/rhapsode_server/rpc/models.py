"""rhapsode.v1.ModelService."""

from rhapsode.v1 import model_pb2
from rhapsode_server.config import Config
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.convert_models import Ground, model_message
from rhapsode_server.rpc.methods import MODEL_CONTROL
from rhapsode_server.rpc.routes import Service, service
from rhapsode_server.rpc.served import Served


class ModelService:
    """Says what is served."""

    def __init__(self, catalog: Catalog, config: Config, ground: Ground) -> None:
        self._catalog = catalog
        self._config = config
        self._ground = ground

    def service(self) -> Service:
        """What to register."""
        return service(model_pb2.DESCRIPTOR.services_by_name["ModelService"], self, MODEL_CONTROL)

    async def ListModels(self, _request: model_pb2.ListModelsRequest, _call: Call) -> model_pb2.ListModelsResponse:
        """List every model that the client may use, without vocabularies."""
        models = [self._message(served, tokens=False) for served in self._catalog.usable]
        return model_pb2.ListModelsResponse(models=models)

    async def GetModel(self, request: model_pb2.GetModelRequest, _call: Call) -> model_pb2.GetModelResponse:
        """Describe one model."""
        served = self._catalog.find(request.model)
        return model_pb2.GetModelResponse(model=self._message(served, tokens=True))

    def _message(self, served: Served, *, tokens: bool) -> model_pb2.Model:
        aliases = self._catalog.residents.names_of((served.loaded.name, served.loaded.version))
        return model_message(served, self._ground, self._config, aliases, tokens=tokens)
