"""The HTTP page from which Prometheus scrapes, in threads of its own so that a busy event loop cannot silence it."""

from dataclasses import dataclass
from threading import Thread
from wsgiref.simple_server import WSGIServer

import prometheus_client
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from rhapsode_server.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running page; `address` is where it really listens."""

    address: str
    _server: WSGIServer
    _thread: Thread

    def close(self) -> None:
        """Stop listening, and wait for the thread's end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def fresh_registry() -> CollectorRegistry:
    """Make a registry that already reports on the process, Python and its garbage collector."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def open_endpoint(address: str, registry: CollectorRegistry) -> Endpoint:
    """Serve the page at "host:port" (port 0: any free one). Raises ConfigError where nothing can listen there."""
    # The _created series double the page and say little.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # no annotations upstream
    host, _, port = address.rpartition(":")
    try:
        server, thread = prometheus_client.start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, ValueError) as error:
        raise ConfigError(f"metrics_address {address} cannot be listened on: {error}") from error
    return Endpoint(f"{host}:{server.server_port}", server, thread)
