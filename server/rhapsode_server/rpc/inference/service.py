"""inference.GRPCInferenceService."""

from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from typing import Protocol

from rhapsode.oip import inference_pb2
from rhapsode_server.config import Config
from rhapsode_server.errors import InvalidField, ModelLoading, ModelNotFound
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.inference import describe
from rhapsode_server.rpc.inference.conversations import Conversations
from rhapsode_server.rpc.inference.inferring import Inferring
from rhapsode_server.rpc.inference.models import Models
from rhapsode_server.rpc.inference.repository import ModelControl, Repository, check_repository
from rhapsode_server.rpc.inference.statistics import Statistics
from rhapsode_server.rpc.routes import Service, service

NAME = "rhapsode"
EXTENSIONS = ("model_repository", "model_configuration", "statistics")


class Vitality(Protocol):
    """How the server is, as probes are told."""

    @property
    def ready(self) -> bool:
        """Whether requests are wanted."""
        ...

    def serves(self, name: str) -> bool:
        """Whether the model of this name is well."""
        ...


class InferenceService:
    """Speaks the Open Inference Protocol; `control` is None where clients may load nothing."""

    def __init__(
        self,
        catalog: Catalog,
        config: Config,
        vitality: Callable[[], Vitality],
        control: ModelControl | None = None,
    ) -> None:
        self._config = config
        self._vitality = vitality
        self._models = Models(catalog)
        self._statistics = Statistics()
        self._inferring = Inferring(self._models, config, self._statistics)
        self._repository = Repository(catalog, control)
        self._conversations = Conversations(self._inferring, config)

    def close(self) -> None:
        """Have streams end once their requests are done."""
        self._conversations.close()

    def service(self) -> Service:
        """What to register."""
        return service(inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"], self)

    async def ServerLive(
        self, _request: inference_pb2.ServerLiveRequest, _call: Call
    ) -> inference_pb2.ServerLiveResponse:
        """Answer."""
        return inference_pb2.ServerLiveResponse(live=True)

    async def ServerReady(
        self, _request: inference_pb2.ServerReadyRequest, _call: Call
    ) -> inference_pb2.ServerReadyResponse:
        """Say whether requests are wanted."""
        return inference_pb2.ServerReadyResponse(ready=self._vitality().ready)

    async def ModelReady(
        self, request: inference_pb2.ModelReadyRequest, _call: Call
    ) -> inference_pb2.ModelReadyResponse:
        """Say whether a model can be asked, or all those of a bundle; one whose name is none cannot."""
        try:
            served = self._models.holder(request.name, request.version)
        except (InvalidField, ModelNotFound, ModelLoading):
            return inference_pb2.ModelReadyResponse(ready=False)
        return inference_pb2.ModelReadyResponse(ready=self._vitality().serves(served.loaded.name))

    async def ServerMetadata(
        self, _request: inference_pb2.ServerMetadataRequest, _call: Call
    ) -> inference_pb2.ServerMetadataResponse:
        """Name the server."""
        return inference_pb2.ServerMetadataResponse(name=NAME, version=version(NAME), extensions=EXTENSIONS)

    async def ModelMetadata(
        self, request: inference_pb2.ModelMetadataRequest, _call: Call
    ) -> inference_pb2.ModelMetadataResponse:
        """Describe a model's tensors."""
        found = self._models.find(request.name, request.version)
        return describe.metadata(found, self._models.versions(found))

    async def ModelConfig(
        self, request: inference_pb2.ModelConfigRequest, _call: Call
    ) -> inference_pb2.ModelConfigResponse:
        """Describe a model's configuration."""
        found = self._models.find(request.name, request.version)
        return inference_pb2.ModelConfigResponse(config=describe.configuration(found, self._config.max_batch))

    async def ModelInfer(
        self, request: inference_pb2.ModelInferRequest, call: Call
    ) -> inference_pb2.ModelInferResponse:
        """Run a model on the rows of a request."""
        reply = inference_pb2.ModelInferResponse()
        await self._inferring.run(self._inferring.plan(request, call), reply)
        return reply

    async def ModelStreamInfer(self, requests: "AsyncIterator[inference_pb2.ModelInferRequest]", call: Call) -> None:
        """Run models on the rows of requests as they come, and reply as they are done."""
        await self._conversations.hold(requests, call)

    async def ModelStatistics(
        self, request: inference_pb2.ModelStatisticsRequest, _call: Call
    ) -> inference_pb2.ModelStatisticsResponse:
        """Tell what was asked of a model, or of all."""
        if request.version and not request.name:
            raise InvalidField("version", "must be empty where no model is named")
        found = [self._models.find(request.name, request.version)] if request.name else self._models.all()
        return inference_pb2.ModelStatisticsResponse(model_stats=[self._statistics.message(each) for each in found])

    async def RepositoryIndex(
        self, request: inference_pb2.RepositoryIndexRequest, _call: Call
    ) -> inference_pb2.RepositoryIndexResponse:
        """List the models."""
        check_repository(request.repository_name)
        return inference_pb2.RepositoryIndexResponse(models=self._repository.index(ready=request.ready))

    async def RepositoryModelLoad(
        self, request: inference_pb2.RepositoryModelLoadRequest, _call: Call
    ) -> inference_pb2.RepositoryModelLoadResponse:
        """Load a bundle."""
        await self._repository.load(request)
        return inference_pb2.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(
        self, request: inference_pb2.RepositoryModelUnloadRequest, _call: Call
    ) -> inference_pb2.RepositoryModelUnloadResponse:
        """Let a bundle go."""
        await self._repository.unload(request)
        return inference_pb2.RepositoryModelUnloadResponse()
