"""Prometheus metrics of the rpcs, under the names of go-grpc-prometheus where it has one, for its dashboards' sake."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rhapsode_server.observe.exemplars import exemplar
from rhapsode_server.observe.trace_context import CURRENT

OTHER = "_OTHER"  # OpenTelemetry's word for all methods that there are not

_NAMES = ("grpc_service", "grpc_method")
_METHOD = ("grpc_type", *_NAMES)
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
        self._open = Gauge("rhapsode_open_rpcs", "Rpcs that have started and not ended.", _NAMES, registry=registry)
        self._no_deadline = counter("rhapsode_no_deadline_total", "Rpcs whose client named no deadline.", _NAMES)
        self._unknown = (
            self._started.labels(OTHER, OTHER, OTHER),
            self._handled.labels(OTHER, OTHER, OTHER, "Unimplemented"),
        )

    def method(self, method: Method, codes: Sequence[str]) -> "MethodMetrics":
        """Give the metrics of one rpc, with a series for each of `codes` ("OK", "NotFound") from the start."""
        names = (method.service, method.name)
        labels = (method.type, *names)
        return MethodMetrics(
            started=self._started.labels(*labels),
            received=self._received.labels(*labels),
            sent=self._sent.labels(*labels),
            handling=self._handling.labels(*labels),
            handled={code: self._handled.labels(*labels, code) for code in codes},
            open=self._open.labels(*names),
            no_deadline=self._no_deadline.labels(*names),
        )

    def open(self) -> Mapping[str, int]:
        """The methods that have rpcs under way, and how many, by full name."""
        samples = next(iter(self._open.collect())).samples
        return {
            "/".join(sample.labels[name] for name in _NAMES): int(sample.value) for sample in samples if sample.value
        }

    def refused_unknown(self) -> None:
        """Report an rpc of a method that there is not, under one name for all that clients make up."""
        for each in self._unknown:
            each.inc()


@dataclass(frozen=True, slots=True)
class MethodMetrics:
    """The series of one rpc."""

    started: Counter
    received: Counter
    sent: Counter
    handling: Histogram
    handled: dict[str, Counter]
    open: Gauge
    no_deadline: Counter

    def began(self, deadline: bool) -> None:
        """Report the start of an rpc, and whether its client named a deadline."""
        self.started.inc()
        self.open.inc()
        if not deadline:
            self.no_deadline.inc()

    def ended(self, code: str, seconds: float) -> None:
        """Report the end of an rpc, in its own context: its trace becomes an exemplar."""
        self.open.dec()
        self.handled[code].inc()
        self.handling.observe(seconds, exemplar(CURRENT.get()))
