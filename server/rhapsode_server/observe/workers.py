"""The metrics of several processes that are one server: how many there are, and one page for all."""

from collections.abc import Callable, Hashable, Iterable
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.registry import Collector

from rhapsode_server.observe.departures import Departed, Version, versions
from rhapsode_server.observe.merge import Family, Snapshot, lasting, merge


class WorkerMetrics:
    """How many processes serve, and how often one was replaced."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.workers = Gauge("rhapsode_workers", "Processes that serve.", registry=registry)
        self.restarts = Counter(
            "rhapsode_worker_restarts_total", "Workers replaced after their end.", registry=registry
        )


class Ledger(Collector):
    """What the workers have counted, the living and the dead. Safe from any thread.

    `ask` is called for each page, and returns when the workers have told their newest, or it waits no longer.
    """

    def __init__(self, own: CollectorRegistry, ask: Callable[[], None]) -> None:
        self._own = own
        self._ask = ask
        self._lock = Lock()
        self._told: dict[Hashable, Snapshot] = {}
        self._past: list[Family] = []

    def tell(self, worker: Hashable, snapshot: Snapshot) -> None:
        """Take what a worker reports now."""
        with self._lock:
            before = self._told.get(worker, ())
            self._told[worker] = snapshot
            if gone := versions(before) - versions(snapshot):
                self._let_go(gone, before, versions(snapshot))

    def bury(self, worker: Hashable) -> None:
        """Keep what a worker had counted when it ended; its gauges go."""
        with self._lock:
            self._past = merge([self._past, lasting(self._told.pop(worker, ()))])

    def _let_go(self, gone: frozenset[Version], before: Snapshot, kept: frozenset[Version]) -> None:
        """Keep what a worker had counted of versions that have left it, for as long as others have them."""
        self._past = merge([self._past, lasting(Departed(gone, kept).among(before))])
        left = frozenset(version for told in self._told.values() for version in versions(told))
        if nowhere := gone - left:
            self._past = Departed(nowhere, left).beside(self._past)

    def collect(self) -> Iterable[Family]:
        """Give the families of the page."""
        self._ask()
        with self._lock:
            parts = [self._past, *self._told.values()]
        return merge([*parts, list(self._own.collect())])


def one_page(ledger: Ledger) -> CollectorRegistry:
    """Make a registry of what the ledger gives alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ledger)
    return registry
