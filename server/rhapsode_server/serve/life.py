"""A server's life in file order: start, serve, stop."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version

import grpc

from rhapsode_server.config import Config
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.observe.connections import ConnectionMetrics
from rhapsode_server.observe.endpoint import Endpoint, fresh_registry, open_endpoint
from rhapsode_server.observe.loads import LoadMetrics
from rhapsode_server.observe.log_metrics import LogMetrics
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.merge import Family
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.opening import open_traces
from rhapsode_server.observe.rpcs import RpcMetrics
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.observe.traces_settings import TracesSettings
from rhapsode_server.observe.workers import WorkerMetrics
from rhapsode_server.repository.registry import Registry
from rhapsode_server.repository.residents import Key
from rhapsode_server.rpc.admin import AdminService, Premises
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.convert_models import Ground
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.gate import Gate
from rhapsode_server.rpc.health import MOST_WATCHES, Health
from rhapsode_server.rpc.image import ImageService
from rhapsode_server.rpc.inference.service import InferenceService
from rhapsode_server.rpc.interceptors import Guard
from rhapsode_server.rpc.model_control import ModelControlService
from rhapsode_server.rpc.models import ModelService
from rhapsode_server.rpc.reflection import Reflection
from rhapsode_server.rpc.routes import Service
from rhapsode_server.rpc.served import AnyDriver
from rhapsode_server.rpc.text import TextService
from rhapsode_server.runtime.providers import Runtime
from rhapsode_server.serve import first_load
from rhapsode_server.serve.access import read_access, share_of
from rhapsode_server.serve.access_watch import AccessWatch
from rhapsode_server.serve.admin import AdminPlane
from rhapsode_server.serve.arguments import channel_arguments
from rhapsode_server.serve.fate import Fate
from rhapsode_server.serve.lag import RecentLag, watch_lag
from rhapsode_server.serve.listening import bind
from rhapsode_server.serve.living_folder import LivingFolder
from rhapsode_server.serve.load_failures import kind_of
from rhapsode_server.serve.loading import loader
from rhapsode_server.serve.model_control import ModelControl
from rhapsode_server.serve.process import SLACK
from rhapsode_server.serve.rotation import Rotation
from rhapsode_server.serve.tls import read_tls
from rhapsode_server.serve.watchdog import Watchdog, watching
from rhapsode_server.serve.watching import Watch
from rhapsode_server.serve.wish import wish_to_stop

LAST_WORDS = 2.0  # seconds beyond the grace in which requests that are cut off still get their status


class Server:
    """A server of loaded models. Lives in one event loop; starts once, stops once."""

    def __init__(
        self,
        config: Config,
        runtime: Runtime,
        models: Registry,
        log: Log,
        traces: Traces = NO_TRACES,
        wish: Callable[[], object] = lambda: None,
    ) -> None:
        self._config = config
        self._traces = traces
        self._log = log
        self.registry = fresh_registry()
        self._metrics = Metrics(self.registry)
        traces.count_losses(self._metrics.spans_lost)
        self._rpc_metrics = RpcMetrics(self.registry)
        self._connections = ConnectionMetrics(self.registry, config.max_connections)
        WorkerMetrics(self.registry).workers.set(1)
        LogMetrics(self.registry, log)
        self.catalog = Catalog(models, config, self._metrics, traces, lambda *news: self.fate.feel(*news))
        first_load.tell(models, self.catalog.residents)
        self.fate: Fate
        failed = LoadMetrics(self.registry).failed
        for failure in models.failures.values():
            failed(kind_of(failure.error))
        self.control = ModelControl(
            self.catalog, loader(config, runtime), log, failed, lambda *news: self.fate.feel(*news)
        )
        self._folder = LivingFolder(config, models, self.catalog.residents, self.control, log)
        self._wish = wish
        self._darkroom = Darkroom(Pace(config.flush_tokens, config.flush_interval_ms / 1000), self._metrics, traces)
        self._ground = Ground(runtime.placement.provider, runtime.placement.fallback_reason, runtime.version)
        self._tls = read_tls(config)
        self._rotation: Rotation | None = None
        self._watches: list[Watch] = []
        self._gate = Gate(read_access(config), share_of(config))
        failures = self._metrics.access_reload_failures
        self._access = AccessWatch(config, self._gate, lambda: self.catalog.names, log, failures.inc)
        self._recent_lag = RecentLag(self._metrics.loop_lag.observe)
        self._health: Health
        self._inference: InferenceService
        self._guard: Guard
        self._grpc: grpc.aio.Server
        self._admin: AdminPlane | None = None
        self._models: ModelControlService | None = None
        self._endpoint: Endpoint | None = None
        self._lag: asyncio.Task[None]
        self.address = config.address
        self.admin_address = ""
        self.metrics_address = ""

    async def start(self) -> None:
        """Drive the models and listen. Raises ConfigError where an address cannot be had."""
        self._keep_credentials()
        services = self._services()
        self.fate = Fate(self.catalog, self._health, self._log, self._wish)
        self._follow_models()
        self._guard = self._guard_of(services)
        self._grpc = grpc.aio.server(interceptors=[self._guard], options=channel_arguments(self._config))
        self._grpc.add_generic_rpc_handlers([each.handler() for each in services])
        self.address = bind(self._grpc, self._config.address, self._credentials(), shared=self._config.workers > 1)
        self._traces.listens(self.address)
        self._connections.listens(self.address)
        self._open_admin()
        if self._config.metrics_address:
            self._endpoint = open_endpoint(self._config.metrics_address, self.registry)
            self.metrics_address = self._endpoint.address
        self._describe()
        self.catalog.start()
        loop = asyncio.get_running_loop()
        self._metrics.ready.set_function(lambda: self._health.ready)
        self._metrics.loop_tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        self._lag = asyncio.create_task(watch_lag(self._recent_lag.add))
        for watch in self._watches:
            watch.start()
        await self._grpc.start()
        if self._admin:
            await self._admin.start()
        self._folder.start()

    def counted(self) -> Iterable[Family]:
        """Give the families of its metrics, as they are now."""
        return self.registry.collect()

    def say_ready(self) -> None:
        """Log that it serves, and where."""
        tls = bool(self._config.tls_certificate)
        admin = {"admin_address": self.admin_address} if self.admin_address else {}
        told = {"metrics_address": self.metrics_address, "tls": tls, "models": len(self.catalog.models), **admin}
        self._log.info("ready", address=self.address, **told)

    async def stop(self) -> None:
        """Go without losing a request that can still be finished.

        Not ready any more, but serving, until load balancers have noticed; then nothing new; then what is under way
        gets its grace; then what is left is ended with a status that says why.
        """
        self._log.info("draining", seconds=self._config.drain_delay)
        self._health.leave()
        await self._folder.close()
        self.catalog.expect_no_more()
        await self.control.stop()
        await asyncio.sleep(self._config.drain_delay)
        self._guard.refuse()
        self._health.close()
        self._inference.close()
        self._log.info("stopping", grace=self._config.grace)
        stopping = asyncio.create_task(self._grpc.stop(self._config.grace + LAST_WORDS))
        await asyncio.wait([stopping], timeout=self._config.grace)
        await self.catalog.stop()
        await stopping
        await self._close()
        self._log.info("stopped")

    async def _close(self) -> None:
        if self._admin and self._models:
            self._models.watches.close()
            await self._admin.close()
        self._access.close()
        for watch in self._watches:
            watch.close()
        self._lag.cancel()
        await asyncio.gather(self._lag, return_exceptions=True)
        self._darkroom.close()
        await asyncio.to_thread(self._traces.close)
        if self._endpoint:
            await asyncio.to_thread(self._endpoint.close)

    def _services(self) -> Sequence[Service]:
        control = self.control if self._config.model_control == "clients" else None
        self._inference = InferenceService(self.catalog, self._config, lambda: self._health, control)
        ours = [
            TextService(self.catalog, self._config, self._metrics).service(),
            ImageService(self.catalog, self._config, self._darkroom).service(),
            ModelService(self.catalog, self._config, self._ground).service(),
            self._inference.service(),
        ]
        # Clients that balance have a watch on each of their connections.
        watches = max(MOST_WATCHES, self._config.max_connections)
        self._health = Health((each.name for each in ours), most_watches=watches)
        self._health.follow(self.catalog.names)
        told = [*ours, self._health.service()]
        return [*told, *Reflection(told).services()]

    def _guard_of(self, services: Sequence[Service]) -> Guard:
        reporting = (self._metrics, self._rpc_metrics, self._log, self._traces)
        return Guard(services, self.catalog, *reporting, self._gate, self._config.stall_timeout)

    def _open_admin(self) -> None:
        if not self._config.admin_address:
            return
        premises = Premises(
            version("rhapsode"),
            self.catalog,
            self._health,
            self._rpc_metrics,
            self._log,
            self._recent_lag.most,
            lambda: self._rotation.expires if self._rotation else None,
            [each for each in (self._rotation, self._access.rotation) if each],
        )
        self._models = ModelControlService(self.catalog, self._config, self._ground, self.control)
        services = [AdminService(premises).service(), self._models.service(), self._health.service()]
        self._admin = AdminPlane.on(self._config, services, self._guard_of, self._credentials())
        self.admin_address = self._admin.address

    def _keep_credentials(self) -> None:
        """Show the certificate that there is, ask for the credentials that are good, and those that come after them."""
        self._access.start()
        if self._tls:
            self._rotation = Rotation(self._config, self._tls, self._metrics, self._log)
            self._watches.append(Watch(self._rotation.paths, self._rotation.reload))

    def _credentials(self) -> grpc.ServerCredentials | None:
        return self._rotation.credentials() if self._rotation else None

    def _describe(self) -> None:
        ground = self._ground
        fallback = bool(ground.fallback_reason)
        self._metrics.started(version("rhapsode"), ground.onnxruntime, grpc.__version__, ground.provider, fallback)
        for served in self.catalog.models:
            self._describe_model((served.loaded.name, served.loaded.version))

    def _follow_models(self) -> None:
        """Have all that names models know which there are."""
        self.catalog.listen(lambda _: self._health.follow(self.catalog.names))
        self.catalog.listen(self.fate.forget, switches=True)
        self.catalog.listen(self._describe_model, switches=True)

    def _describe_model(self, key: Key) -> None:
        """Say in the metrics what is served as a version."""
        for served in self.catalog.models:
            model = served.loaded
            if (model.name, model.version) == key:
                made = (model.digest, model.fingerprint, self._ground.provider, model.load_seconds)
                self._metrics.versions.loaded(model.name, model.version, *made)


def _say_ready(server: Server, _: asyncio.Event) -> None:
    server.say_ready()


async def serve(
    config: Config,
    runtime: Runtime,
    models: Registry,
    log: Log,
    tracing: TracesSettings | None = None,
    on_ready: Callable[[Server, asyncio.Event], object] = _say_ready,
) -> int:
    """Serve until SIGTERM or SIGINT, then stop gracefully; a second signal ends the process at once.

    Stops also where only a restart helps: the exit status is then not 0.

    `on_ready` is called in the event loop once it serves, with an event that wishes for the end as a signal does.
    """
    with wish_to_stop(log) as asked:
        loop = asyncio.get_running_loop()
        traces = open_traces(tracing, version("rhapsode"), log, loop.call_soon_threadsafe)
        server = Server(config, runtime, models, log, traces, asked.set)
        models.let_go()  # whoever loaded them has this registry for as long as we serve
        await server.start()
        on_ready(server, asked)
        with watching(_watchdog(server, config, log)):
            await asked.wait()
            await server.stop()
        return server.fate.exit_code


def _watchdog(server: Server, config: Config, log: Log) -> Watchdog[AnyDriver]:
    stop = config.drain_delay + config.grace + SLACK
    call = asyncio.get_running_loop().call_soon_threadsafe
    return Watchdog(server.catalog.drivers, server.fate.hung, config.run_timeout, stop, log, call)
