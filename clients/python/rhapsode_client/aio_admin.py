"""The client of a server's administration, for asyncio."""

# ruff: noqa: ASYNC109 - a timeout here is gRPC's deadline, which travels to the server; asyncio.timeout would not

from collections.abc import AsyncGenerator, Mapping

from rhapsode.v1 import admin_pb2, model_pb2
from rhapsode.v1.admin_pb2_grpc import AdminServiceStub
from rhapsode.v1.model_pb2_grpc import ModelServiceStub
from rhapsode_client.addresses import one_server
from rhapsode_client.aio_link import AsyncLink
from rhapsode_client.channel import DEFAULT_SETTINGS, ChannelSettings
from rhapsode_client.convert import admin, scalars
from rhapsode_client.failures import aio_failures
from rhapsode_client.types import LogLevel, ModelStatus, ReadCredentials, Readiness, ServerState


class AsyncAdminClient(AsyncLink):
    """What `AdminClient` is, for asyncio: the same methods with the same arguments and errors, awaited; `watch_models`
    is iterated. Make it inside a running event loop, which it is bound to.
    """

    def __init__(self, address: str, settings: ChannelSettings = DEFAULT_SETTINGS) -> None:
        super().__init__(one_server(address), settings)
        self._admin = AdminServiceStub(self._channel)
        self._models = ModelServiceStub(self._channel)

    async def server_state(self, *, timeout: float | None = None) -> ServerState:
        """What the server is doing now."""
        reply = await self._unary(self._admin.GetServerState, admin_pb2.GetServerStateRequest(), timeout)
        return admin.server_state(reply.server)

    async def set_readiness(self, readiness: Readiness, *, timeout: float | None = None) -> Readiness:
        """Take the server out of rotation while it serves on (WITHDRAWN), or back (READY); what holds now."""
        request = admin.readiness_request(readiness)
        return admin.readiness((await self._unary(self._admin.SetReadiness, request, timeout)).readiness)

    async def set_log_level(self, level: LogLevel, *, timeout: float | None = None) -> LogLevel:
        """Have more lines in the log, or fewer; the level until now."""
        request = admin.log_level_request(level)
        return admin.log_level((await self._unary(self._admin.SetLogLevel, request, timeout)).previous)

    async def reload_credentials(self, *, timeout: float | None = None) -> tuple[ReadCredentials, ...]:
        """Have the files of credentials read now; what came of each kind."""
        request = admin_pb2.ReloadCredentialsRequest()
        return admin.credentials(await self._unary(self._admin.ReloadCredentials, request, timeout))

    async def models(self, *, timeout: float | None = None) -> tuple[ModelStatus, ...]:
        """Every version that the server knows of, sorted by name, then version, and where it stands."""
        watch = self.watch_models(timeout=timeout)
        try:
            return await anext(watch, ())
        finally:
            await watch.aclose()

    async def load_model(self, model: str, *, timeout: float | None = None) -> ModelStatus:
        """Have a version of the models folder loaded, or loaded anew, and served; "name" is the newest one there.

        Raises LoadFailed, RepositoryFull or ModelNotFound, and what was served before is served on. A `timeout` that
        passes stops nothing at the server.
        """
        request = model_pb2.LoadModelRequest(model=scalars.text("model", model))
        return admin.status((await self._unary(self._models.LoadModel, request, timeout)).status)

    async def unload_model(self, model: str, *, timeout: float | None = None) -> tuple[ModelStatus, ...]:
        """Have a version served no more, or all of a name, and wait until its memory is given back.

        Raises ModelInUse where an alias names it. A `timeout` that passes stops nothing at the server.
        """
        request = model_pb2.UnloadModelRequest(model=scalars.text("model", model))
        return admin.statuses((await self._unary(self._models.UnloadModel, request, timeout)).statuses)

    async def set_model_alias(
        self, model: str, alias: str, version: int | None, *, timeout: float | None = None
    ) -> Mapping[str, int]:
        """Have an alias name a version, or none; all aliases of the model, and what they name now."""
        request = admin.alias_request(model, alias, version)
        return admin.aliases(await self._unary(self._models.SetModelAlias, request, timeout))

    async def watch_models(self, *, timeout: float | None = None) -> AsyncGenerator[tuple[ModelStatus, ...], None]:
        """At once every version that is known, then those that change, whenever some do. Its `aclose` ends it; a server
        that stops ends it with ServerStopping.
        """
        call = self._call(timeout)
        request = model_pb2.WatchModelsRequest()
        with aio_failures(call.request_id):
            replies = self._models.WatchModels(request, timeout=call.timeout, metadata=call.metadata)
            try:
                async for reply in replies:
                    yield admin.statuses(reply.statuses)
            finally:
                replies.cancel()
