"""Prometheus metrics of the rpcs, under the names of go-grpc-prometheus so that its dashboards work."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

_METHOD = ("grpc_type", "grpc_service", "grpc_method")
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc: `type` is "unary", "server_stream", "client_stream" or "bidi_stream"; `service` is its full name."""

    type: str
    service: str
    name: str


class RpcMetrics:
    """Counts the rpcs of one server, in the registry that it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = _METHOD) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._started = counter("grpc_server_started_total", "Rpcs started on the server.")
        self._handled = counter("grpc_server_handled_total", "Rpcs completed.", (*_METHOD, "grpc_code"))
        self._received = counter("grpc_server_msg_received_total", "Messages received on the server.")
        self._sent = counter("grpc_server_msg_sent_total", "Messages sent by the server.")
        self._handling = Histogram(
            "grpc_server_handling_seconds",
            "From an rpc's start to its end.",
            _METHOD,
            buckets=_BUCKETS,
            registry=registry,
        )

    def method(self, method: Method, codes: Sequence[str]) -> "MethodMetrics":
        """Give the metrics of one rpc, with a series for each of `codes` ("OK", "NotFound") from the start."""
        labels = (method.type, method.service, method.name)
        return MethodMetrics(
            started=self._started.labels(*labels),
            received=self._received.labels(*labels),
            sent=self._sent.labels(*labels),
            handling=self._handling.labels(*labels),
            handled={code: self._handled.labels(*labels, code) for code in codes},
        )


@dataclass(frozen=True, slots=True)
class MethodMetrics:
    """The series of one rpc."""

    started: Counter
    received: Counter
    sent: Counter
    handling: Histogram
    handled: dict[str, Counter]

    def ended(self, code: str, seconds: float) -> None:
        """Report the end of an rpc."""
        self.handled[code].inc()
        self.handling.observe(seconds)
