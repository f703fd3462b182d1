"""A server's life in file order: load, start, serve, stop."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

import grpc

from rhapsode_server.config import Config
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.errors import ConfigError
from rhapsode_server.observe.endpoint import Endpoint, fresh_registry, open_endpoint
from rhapsode_server.observe.log_metrics import LogMetrics
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.merge import Family
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.opening import open_traces
from rhapsode_server.observe.rpcs import RpcMetrics
from rhapsode_server.observe.traces import NO_TRACES, Traces
from rhapsode_server.observe.traces_settings import TracesSettings
from rhapsode_server.observe.workers import WorkerMetrics
from rhapsode_server.repository import registry
from rhapsode_server.repository.registry import Batching, LoadedModel, Registry
from rhapsode_server.rpc.catalog import AnyDriver, Catalog
from rhapsode_server.rpc.convert_models import Ground
from rhapsode_server.rpc.darkroom import Darkroom
from rhapsode_server.rpc.gate import Gate
from rhapsode_server.rpc.health import Health
from rhapsode_server.rpc.image import ImageService
from rhapsode_server.rpc.interceptors import Guard
from rhapsode_server.rpc.models import ModelService
from rhapsode_server.rpc.reflection import Reflection
from rhapsode_server.rpc.routes import Service
from rhapsode_server.rpc.text import TextService
from rhapsode_server.runtime.providers import CPU, Runtime, RuntimeOptions
from rhapsode_server.serve.access import read_access, share_of
from rhapsode_server.serve.access_watch import AccessWatch
from rhapsode_server.serve.arguments import channel_arguments
from rhapsode_server.serve.fate import Fate
from rhapsode_server.serve.lag import watch_lag
from rhapsode_server.serve.port import check_free
from rhapsode_server.serve.preflight import check_sizes
from rhapsode_server.serve.process import SLACK
from rhapsode_server.serve.processors import share
from rhapsode_server.serve.tls import Tls, read_tls
from rhapsode_server.serve.watchdog import Watchdog, watching
from rhapsode_server.serve.wish import wish_to_stop

LAST_WORDS = 2.0  # seconds beyond the grace in which requests that are cut off still get their status


def load(config: Config, log: Log) -> tuple[Runtime, Registry]:
    """Choose where to run; read, verify and warm up every model. Raises StartupError."""
    read_access(config)
    read_tls(config)  # what is wrong with it should not be said after a minute of loading
    options = RuntimeOptions(
        provider=config.provider,
        device=config.device,
        gpu_memory_limit=config.gpu_memory_limit or None,
        threads=config.threads or share(),
        require_gpu=config.require_gpu,
    )
    runtime = Runtime(options)
    log.info(
        "runtime",
        provider=runtime.placement.provider,
        fallback_reason=runtime.placement.fallback_reason,
        onnxruntime=runtime.version,
        threads=options.threads,
    )

    def tell(model: LoadedModel) -> None:
        log.info(
            "model loaded",
            model=model.name,
            model_version=model.version,
            fingerprint=model.fingerprint,
            batch_invariant=model.batch_invariant,
            form=model.form,
            duration_ms=round(model.load_seconds * 1000, 3),
        )
        if model.unfused_reason:
            log.warning("steps not fused", model=model.name, model_version=model.version, reason=model.unfused_reason)

    def announce(bundle: str) -> None:
        # The last words of a process that ONNX Runtime, or the kernel for want of memory, ends without any of its own.
        log.info("model loading", bundle=bundle)

    return runtime, registry.load(config.models, runtime, _batching(config, runtime), tell, announce)


def _batching(config: Config, runtime: Runtime) -> Batching:
    """Take the settings; a GPU is given batches of one size, because it chooses its algorithms by their shape.

    Raises ConfigError where a size is larger than any batch.
    """
    sizes = check_sizes(config)
    if not sizes and runtime.placement.provider != CPU:
        sizes = (config.max_batch,)
    return Batching(config.max_batch, config.run_steps, config.run_budget_ms / 1000, sizes, config.step_form)


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
        WorkerMetrics(self.registry).workers.set(1)
        LogMetrics(self.registry, log)
        self.catalog = Catalog(models, config, self._metrics, traces, lambda *news: self.fate.feel(*news))
        self.fate: Fate
        self._wish = wish
        self._darkroom = Darkroom(Pace(config.flush_tokens, config.flush_interval_ms / 1000), self._metrics, traces)
        self._ground = Ground(runtime.placement.provider, runtime.placement.fallback_reason, runtime.version)
        self._tls = read_tls(config)
        self._gate = Gate(read_access(config), share_of(config))
        failures = self._metrics.access_reload_failures
        self._access = AccessWatch(config, self._gate, self._names, log, failures.inc)
        self._health: Health
        self._guard: Guard
        self._grpc: grpc.aio.Server
        self._endpoint: Endpoint | None = None
        self._lag: asyncio.Task[None]
        self.address = config.address
        self.metrics_address = ""

    async def start(self) -> None:
        """Drive the models and listen. Raises ConfigError where an address cannot be had."""
        services = self._services()
        self.fate = Fate(self.catalog, self._health, self._log, self._wish)
        reporting = (self._metrics, self._rpc_metrics, self._log, self._traces)
        self._guard = Guard(services, self.catalog, *reporting, self._gate, self._config.stall_timeout)
        self._grpc = grpc.aio.server(interceptors=[self._guard], options=channel_arguments(self._config))
        self._grpc.add_generic_rpc_handlers([each.handler() for each in services])
        self.address = _bind(self._grpc, self._config.address, self._tls, shared=self._config.workers > 1)
        self._traces.listens(self.address)
        if self._config.metrics_address:
            self._endpoint = open_endpoint(self._config.metrics_address, self.registry)
            self.metrics_address = self._endpoint.address
        self._describe()
        self.catalog.start()
        loop = asyncio.get_running_loop()
        self._metrics.loop_tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        self._access.start()
        self._lag = asyncio.create_task(watch_lag(self._metrics.loop_lag.observe))
        await self._grpc.start()

    def counted(self) -> Iterable[Family]:
        """Give the families of its metrics, as they are now."""
        return self.registry.collect()

    def say_ready(self) -> None:
        """Log that it serves, and where."""
        tls = bool(self._config.tls_certificate)
        self._log.info("ready", address=self.address, metrics_address=self.metrics_address, tls=tls)

    async def stop(self) -> None:
        """Go without losing a request that can still be finished.

        Not ready any more, but serving, until load balancers have noticed; then nothing new; then what is under way
        gets its grace; then what is left is ended with a status that says why.
        """
        self._log.info("draining", seconds=self._config.drain_delay)
        self._health.leave()
        await asyncio.sleep(self._config.drain_delay)
        self._guard.refuse()
        self._health.close()
        self._log.info("stopping", grace=self._config.grace)
        stopping = asyncio.create_task(self._grpc.stop(self._config.grace + LAST_WORDS))
        await asyncio.wait([stopping], timeout=self._config.grace)
        await self.catalog.stop()
        await stopping
        await self._close()
        self._log.info("stopped")

    async def _close(self) -> None:
        self._access.close()
        self._lag.cancel()
        await asyncio.gather(self._lag, return_exceptions=True)
        self._darkroom.close()
        await asyncio.to_thread(self._traces.close)
        if self._endpoint:
            await asyncio.to_thread(self._endpoint.close)

    def _services(self) -> Sequence[Service]:
        ours = [
            TextService(self.catalog, self._config, self._metrics).service(),
            ImageService(self.catalog, self._config, self._darkroom).service(),
            ModelService(self.catalog, self._config, self._ground).service(),
        ]
        self._health = Health((each.name for each in ours), self._names)
        told = [*ours, self._health.service()]
        return [*told, *Reflection(told).services()]

    @property
    def _names(self) -> frozenset[str]:
        return frozenset(served.loaded.name for served in self.catalog.models)

    def _describe(self) -> None:
        ground = self._ground
        fallback = bool(ground.fallback_reason)
        if self._tls:
            self._metrics.certificate_expiry.set(self._tls.expires.timestamp())
            for doubt in self._tls.doubts(datetime.now(UTC)):
                self._log.warning("certificate", reason=doubt)
        self._metrics.started(version("rhapsode"), ground.onnxruntime, grpc.__version__, ground.provider, fallback)
        for served in self.catalog.models:
            model = served.loaded
            self._metrics.loaded(
                model.name, model.version, model.digest, model.fingerprint, ground.provider, model.load_seconds
            )


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
        await server.start()
        on_ready(server, asked)
        with watching(_watchdog(server, config, log)):
            await asked.wait()
            await server.stop()
        return server.fate.exit_code


def _watchdog(server: Server, config: Config, log: Log) -> Watchdog[AnyDriver]:
    drivers, stop = list(server.catalog.drivers()), config.drain_delay + config.grace + SLACK
    call = asyncio.get_running_loop().call_soon_threadsafe
    return Watchdog(drivers, server.fate.hung, config.run_timeout, stop, log, call)


def _bind(server: grpc.aio.Server, address: str, tls: Tls | None, *, shared: bool) -> str:
    """Listen, and say where: port 0 becomes the port that was found. A `shared` port is held by the supervisor."""
    if _answers(address):
        raise ConfigError(f"address {address} cannot be listened on: another process does")
    if not shared:
        check_free(address)
    try:
        port = server.add_secure_port(address, _credentials(tls)) if tls else server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"address {address} cannot be listened on") from error
    return address if address.startswith("unix") else f"{address.rpartition(':')[0]}:{port}"


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    """For gRPC: clients must show a certificate of their own where it is said whose (mutual TLS)."""
    return grpc.ssl_server_credentials(
        [(tls.key, tls.chain)], tls.client_ca, require_client_auth=tls.client_ca is not None
    )


def _answers(address: str) -> bool:
    """Whether somebody listens on this unix socket; gRPC would take its path away without a word."""
    if not address.startswith("unix:"):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address.removeprefix("unix:").removeprefix("//"))
        except OSError:
            return False
    return True
