"""Pools of threads that tell how busy they are."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from prometheus_client import CollectorRegistry, Gauge

P = ParamSpec("P")
T = TypeVar("T")


class PoolMetrics:
    """What all pools of one server report, in the registry that it is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ("pool",), registry=registry)

        self.threads = gauge("rhapsode_pool_threads", "Threads that a pool may have.")
        self.queued = gauge("rhapsode_pool_queued", "Pieces of work that wait for a thread.")
        self.busy = gauge("rhapsode_pool_busy", "Threads that are at work.")


class Pool(ThreadPoolExecutor):
    """Some threads under a name, which is that of the threads too."""

    def __init__(self, name: str, threads: int, metrics: PoolMetrics) -> None:
        super().__init__(threads, thread_name_prefix=name)
        metrics.threads.labels(name).set(threads)
        self._queued = metrics.queued.labels(name)
        self._busy = metrics.busy.labels(name)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have it done. Raises RuntimeError once the pool is closed."""
        self._queued.inc()
        work: list[Callable[[], T]] = [partial(fn, *args, **kwargs)]
        try:
            future = super().submit(self._do, work)
        except RuntimeError:
            self._queued.dec()
            raise
        future.add_done_callback(partial(self._settle, work))
        return future

    def _do(self, work: list[Callable[[], T]]) -> T:
        self._queued.dec()
        with self._busy.track_inprogress():
            return work.pop()()

    def _settle(self, work: list[Callable[[], T]], future: Future[T]) -> None:
        """What is cancelled was never begun. It stays in the queue until a thread comes to it, but keeps nothing."""
        if future.cancelled():
            self._queued.dec()
            work.clear()
