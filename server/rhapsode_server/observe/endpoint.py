"""The HTTP endpoint that Prometheus scrapes, in threads of its own so that a busy event loop cannot silence it."""

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from rhapsode_server.errors import ConfigError
from rhapsode_server.observe.page import OPEN_METRICS, Form, Pages

PATHS = ("/", "/metrics")
MOST_CONNECTIONS = 16  # one more, and the oldest is cut: whoever is slow or hung cannot keep others from the page
LONGEST_SILENCE = 75.0  # seconds without a byte after which a connection is closed: scrapes of one a minute keep theirs
POLL = 0.1  # seconds until a wish to stop is noticed


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint; `address` is where it really listens."""

    address: str
    _server: "_Server"
    _thread: threading.Thread

    def close(self) -> None:
        """Stop listening, cut what is connected, and wait for the thread's end."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut(0)
        self._thread.join()


def fresh_registry() -> CollectorRegistry:
    """Make a registry that already reports on the process, Python and its garbage collector."""
    # The _created series double the page and say little.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # no annotations upstream
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def open_endpoint(address: str, registry: Collector) -> Endpoint:
    """Serve what a registry collects at "host:port" (port 0: any free one).

    Raises ConfigError where nothing can listen there.
    """
    server = _listen(address, Pages(registry))
    thread = threading.Thread(target=server.serve_forever, args=(POLL,), name="metrics", daemon=True)
    thread.start()
    return Endpoint(f"{address.rpartition(':')[0]}:{server.server_address[1]}", server, thread)


def check_page(address: str) -> None:
    """Raise ConfigError where a page cannot be served; none is at an empty address."""
    if address:
        _listen(address, Pages(fresh_registry())).server_close()


def _listen(address: str, pages: Pages) -> "_Server":
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = found[0]
        # The port as it was given: what getaddrinfo makes of one above 65535 is another one.
        return _Server(family, (place[0], int(port), *place[2:]), pages)
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"--metrics-address {address} cannot be listened on: {error}") from error


def takes_gzip(accepted: str) -> bool:
    """Whether what a client says of encodings (RFC 9110) lets it be sent gzip: by name, or as any, and not with q=0."""
    weights = {name.strip().lower(): _weight(rest) for name, _, rest in _split(accepted)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _split(accepted: str) -> Iterator[tuple[str, str, str]]:
    return (word.partition(";") for word in accepted.split(","))


def _weight(parameters: str) -> float:
    """The q of an encoding, 1 where there is none; 0 for nonsense."""
    name, _, value = parameters.partition("=")
    try:
        return float(value) if name.strip().lower() == "q" else float(not parameters.strip())
    except ValueError:
        return 0.0


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread for each connection, and a bound on these."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, family: socket.AddressFamily, place: Any, pages: Pages) -> None:  # noqa: ANN401 - as they come
        self.address_family = family
        self.pages = pages
        self._connections: dict[socket.socket, None] = {}  # the oldest first
        self._changing = threading.Lock()
        super().__init__(place, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:  # no descriptor is left: to try again at once would only take the rpcs' time
            time.sleep(POLL)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as upstream has it
        self.cut(MOST_CONNECTIONS - 1)
        with self._changing:
            self._connections[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as upstream has it
        with self._changing:
            self._connections.pop(request, None)
            super().shutdown_request(request)

    def cut(self, left: int) -> None:
        """End the oldest connections, until so many are left."""
        with self._changing:
            for oldest in list(self._connections)[: max(0, len(self._connections) - left)]:
                del self._connections[oldest]
                try:
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread, which waits for it, closes it
                except OSError:
                    continue  # its client has gone

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as upstream has it
        """Say what went wrong on standard error, unless it is a client that has gone or is too slow."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server
    protocol_version = "HTTP/1.1"  # a scraper keeps its connection, which spares us a thread for each scrape
    timeout = LONGEST_SILENCE
    disable_nagle_algorithm = True  # the page need not wait until the head has arrived

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def version_string(self) -> str:
        """Strangers need not know of which Python this is."""
        return "rhapsode"

    def log_message(self, *_: object) -> None:
        """Scrapes are no news."""

    def _answer(self, body: bool) -> None:
        if self.path.partition("?")[0] not in PATHS:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"metrics are at {PATHS[-1]}")
            return
        form = Form(OPEN_METRICS in self.headers.get("Accept", ""), takes_gzip(self.headers.get("Accept-Encoding", "")))
        page = self.server.pages.get(form)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Vary", "Accept, Accept-Encoding")
        self.send_header("Age", str(int(time.monotonic() - page.began)))
        if form.packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if body:
            self.wfile.write(page.body)
