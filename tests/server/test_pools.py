"""A pool of threads says how many it has, how many are at work, and what waits for them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.observe.metrics import Metrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def pool(registry: CollectorRegistry) -> Iterator[ThreadPoolExecutor]:
    with Metrics(registry).pool("clerks", 2) as made:
        yield made


def state(registry: CollectorRegistry) -> tuple[float | None, ...]:
    """Threads, those at work, and what waits."""
    names = ("rhapsode_pool_threads", "rhapsode_pool_busy", "rhapsode_pool_queued")
    return tuple(registry.get_sample_value(name, {"pool": "clerks"}) for name in names)


def test_work_is_counted_while_it_waits_and_while_it_is_done(
    registry: CollectorRegistry, pool: ThreadPoolExecutor
) -> None:
    begun, go = threading.Barrier(3), threading.Event()

    def work() -> bool:
        begun.wait(30)
        return go.wait(30)

    assert state(registry) == (2, 0, 0)
    done = [pool.submit(work) for _ in range(2)]
    waiting, dropped = pool.submit(threading.get_ident), pool.submit(threading.get_ident)
    begun.wait(30)
    assert state(registry) == (2, 2, 2)
    assert dropped.cancel()
    assert state(registry) == (2, 2, 1)
    go.set()
    assert all(each.result() for each in done)
    waiting.result()
    pool.shutdown()
    assert state(registry) == (2, 0, 0)


def test_work_that_fails_is_over(registry: CollectorRegistry, pool: ThreadPoolExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()
    pool.shutdown()
    assert state(registry) == (2, 0, 0)


def test_a_closed_pool_takes_no_work(registry: CollectorRegistry, pool: ThreadPoolExecutor) -> None:
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(threading.get_ident)
    assert state(registry) == (2, 0, 0)
