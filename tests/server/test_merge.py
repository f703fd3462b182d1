"""Metrics of several processes as one page: sums of what is counted, one of what is a fact, exemplars kept."""

import pickle
from collections.abc import Mapping, Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from rhapsode_server.observe.connections import ConnectionMetrics
from rhapsode_server.observe.endpoint import fresh_registry
from rhapsode_server.observe.log_metrics import LogMetrics
from rhapsode_server.observe.merge import Family, gauge_rule, lasting, merge
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.rpcs import RpcMetrics
from rhapsode_server.observe.workers import Ledger, WorkerMetrics, one_page

# What several processes have more of than one: each gauge is either here or, by its rule, a fact.
ADDED = {
    "rhapsode_active_slots",
    "rhapsode_connections_limit",
    "rhapsode_event_loop_tasks",
    "rhapsode_model_aliases_waiting",
    "rhapsode_models",
    "rhapsode_open_connections",
    "rhapsode_open_rpcs",
    "rhapsode_parked_jobs",
    "rhapsode_pool_busy",
    "rhapsode_pool_queued",
    "rhapsode_pool_threads",
    "rhapsode_queue_depth",
    "rhapsode_ready",
    "rhapsode_slots",
    "rhapsode_workers",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
}


class Process:
    """A process with a metric of each kind."""

    def __init__(
        self, requests: int = 0, seconds: Sequence[float] = (), open_rpcs: int = 0, start: float = 0.0
    ) -> None:
        self.registry = CollectorRegistry()
        counter = Counter("requests_total", "", ("model",), registry=self.registry)
        counter.labels("a").inc(requests, {"trace_id": str(requests)} if requests else None)
        histogram = Histogram("run_seconds", "", buckets=(1, 2), registry=self.registry)
        for value in seconds:
            histogram.observe(value)
        Gauge("open_rpcs", "", registry=self.registry).set(open_rpcs)
        Gauge("process_start_time_seconds", "", registry=self.registry).set(start)
        Gauge("build_info", "", ("version",), registry=self.registry).labels("1").set(1)

    def snapshot(self) -> list[Family]:
        """What it sends over the pipe."""
        families: list[Family] = pickle.loads(pickle.dumps(list(self.registry.collect())))  # noqa: S301  # our own
        return families


def values(families: Sequence[Family]) -> Mapping[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_is_counted_is_added_and_what_is_a_fact_is_not() -> None:
    merged = merge(
        [
            Process(3, [0.5], open_rpcs=2, start=7.0).snapshot(),
            Process(4, [1.5, 9.0], open_rpcs=5, start=3.0).snapshot(),
        ]
    )
    assert values(merged) == {
        "requests_total a": 7,
        "run_seconds_bucket 1.0": 1,
        "run_seconds_bucket 2.0": 2,
        "run_seconds_bucket +Inf": 3,
        "run_seconds_count": 3,
        "run_seconds_sum": 11.0,
        "open_rpcs": 7,
        "process_start_time_seconds": 3.0,
        "build_info 1": 1,
    }


def test_an_exemplar_is_that_of_the_latest_moment() -> None:
    first, second = Process(3).snapshot(), Process(4).snapshot()
    for order in permutations([first, second, Process().snapshot()]):
        (sample,) = merge(order)[0].samples
        assert sample.exemplar is not None
        assert sample.exemplar.labels == {"trace_id": "4"}


def test_what_one_process_alone_has_is_kept() -> None:
    lonely = CollectorRegistry()
    Counter("requests_total", "", ("model",), registry=lonely).labels("b").inc(2)
    Counter("others_total", "", registry=lonely).inc(1)
    merged = values(merge([Process(3).snapshot(), list(lonely.collect())]))
    assert (merged["requests_total a"], merged["requests_total b"], merged["others_total"]) == (3, 2, 1)


def test_nothing_makes_nothing() -> None:
    assert merge([]) == []
    assert merge([[], []]) == []


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3))
def test_a_sum_is_the_same_however_it_came_together(parts: list[float]) -> None:
    processes = [Process(1, [part]).snapshot() for part in parts]
    whole = {
        values(merge([lasting(merge([first, second])), third]))["run_seconds_sum"]
        for first, second, third in permutations(processes)
    }
    assert len(whole) == 1
    assert whole.pop() == pytest.approx(sum(parts), abs=3e-6)


def test_every_gauge_of_the_server_has_been_thought_of() -> None:
    registry = fresh_registry()
    for kind in (Metrics, RpcMetrics, WorkerMetrics, LogMetrics):
        kind(registry)
    ConnectionMetrics(registry, 1)
    gauges = {family.name for family in registry.collect() if family.type == "gauge"}
    assert {name for name in gauges if name not in ADDED and gauge_rule(name) is sum} == set()
    assert {name for name in ADDED if gauge_rule(name) is not sum} == set()


def test_what_the_dead_counted_stays_and_their_gauges_go() -> None:
    ledger = Ledger(CollectorRegistry(), lambda: None)
    ledger.tell("first", Process(3, [0.5], open_rpcs=2).snapshot())
    ledger.tell("second", Process(4, open_rpcs=5).snapshot())
    before = values(list(ledger.collect()))
    ledger.bury("first")
    after = values(list(ledger.collect()))
    assert (after["requests_total a"], after["run_seconds_sum"]) == (before["requests_total a"], 0.5) == (7, 0.5)
    assert after["open_rpcs"] == 5
    ledger.tell("third", Process(1).snapshot())
    assert values(list(ledger.collect()))["requests_total a"] == 8


def test_one_that_died_before_it_told_anything_leaves_nothing() -> None:
    ledger = Ledger(CollectorRegistry(), lambda: None)
    ledger.bury("nobody")
    assert list(ledger.collect()) == []


def test_the_page_asks_first_and_is_written_in_both_formats() -> None:
    asked: list[int] = []
    ledger = Ledger(fresh_registry(), lambda: asked.append(1))
    ledger.tell("first", Process(3, [0.5]).snapshot())
    ledger.tell("second", Process(4, [0.5]).snapshot())
    assert b'requests_total{model="a"} 7.0\n' in generate_latest(one_page(ledger))
    text = openmetrics.generate_latest(one_page(ledger)).decode()  # type: ignore[no-untyped-call]  # no annotations upstream
    assert 'requests_total{model="a"} 7.0 # {trace_id="4"} 4.0' in text
    assert len(asked) == 2
