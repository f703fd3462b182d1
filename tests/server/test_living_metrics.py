"""Metrics, and who else has to know the models that there are: they come and go with them."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from rhapsode_server.engine.attempt import Run
from rhapsode_server.errors import DeviceLost, ModelUnhealthy
from rhapsode_server.observe.merge import Family
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.workers import Ledger
from rhapsode_server.repository.residents import MOST_PAST
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.serve.watchdog import Watchdog
from support.living import Versions, away, come, leave
from support.requests import generate_text, text
from support.server import Running, running

TEXTS = 'model="tiny-text"'
SERIES = re.compile(rf"^(\w+?)(?:_created|_bucket|_count|_sum)?{{[^}}]*{TEXTS}[^}}]*version=\"(\d)\"", re.MULTILINE)


@pytest.fixture
async def server(versions: Versions) -> AsyncIterator[Running]:
    async with running(versions.first) as started:
        yield started


@pytest.fixture
def catalog(server: Running) -> Catalog:
    return server.server.catalog


def value(server: Running, name: str, version: int, **labels: str) -> float | None:
    lane = {"model": "tiny-text", "version": str(version), "role": "step"} | labels
    return server.server.registry.get_sample_value(name, lane)


async def series(server: Running, version: int) -> set[str]:
    return {name for name, number in SERIES.findall(await server.page()) if number == str(version)}


async def test_the_series_of_a_version_come_and_go_with_it(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    ours = await series(server, 1)
    assert {"rhapsode_model_info", "rhapsode_model_load_seconds", "rhapsode_run_seconds"} < ours
    for _ in range(3):
        new = versions.load("tiny-text")
        come(catalog, new)
        await generate_text(server, text())
        assert await series(server, 2) == ours
        assert 'rhapsode_models{state="served"} 4.0' in await server.page()
        await leave(catalog, new)
        assert await series(server, 2) == set()
    assert 'rhapsode_items_generated_total{kind="token",model="tiny-text"} 72.0' in await server.page()
    await leave(catalog, catalog.residents.find("tiny-text"))
    with pytest.raises(grpc.aio.AioRpcError):
        await generate_text(server, text())
    assert "tiny-text" not in await server.page()


async def test_aliases_without_their_version_are_counted(server: Running, catalog: Catalog) -> None:
    catalog.residents.awaited.say("tiny-text", {"stable": 7})
    assert "rhapsode_model_aliases_waiting 1.0" in await server.page()
    catalog.residents.awaited.say("tiny-text", {})
    assert "rhapsode_model_aliases_waiting 0.0" in await server.page()


async def test_a_reload_is_told_of_once(server: Running, catalog: Catalog, versions: Versions) -> None:
    lines = [line for line in (await server.page()).splitlines() if "model_info{" in line]
    replaced = come(catalog, versions.load("tiny-text", 1))
    assert replaced is not None
    assert 'rhapsode_models{state="leaving"} 1.0' in await server.page()
    await away(catalog, replaced)
    assert [line for line in (await server.page()).splitlines() if "model_info{" in line] == lines
    assert await series(server, 1)


def failing(server: Running, version: int = 1) -> float | None:
    labels = {"model": "tiny-text", "version": str(version)}
    return server.server.registry.get_sample_value("rhapsode_model_failed", labels)


async def test_a_version_that_could_not_be_loaded_is_told_of_until_it_can_be(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    for version in (1, 2):
        catalog.residents.wait(("tiny-text", version), "a copy under way is no failure")
    assert (failing(server), failing(server, 2)) == (0, None)
    for version in (1, 2):
        catalog.residents.begin(("tiny-text", version), 1)
        assert failing(server, version) == 0
        catalog.residents.failed(("tiny-text", version), "decode.onnx: broken")
        assert failing(server, version) == 1
    new = versions.load("tiny-text")
    come(catalog, new)
    assert (failing(server), failing(server, 2)) == (1, 0)  # what is served in its place is no excuse
    await leave(catalog, new)
    assert failing(server, 2) is None
    catalog.residents.failed(("nobody", 1), "gone before it came")
    assert 'rhapsode_model_failed{model="nobody",version="1"} 1.0' in await server.page()
    catalog.residents.forgive(("nobody", 1))
    assert "nobody" not in await server.page()


async def test_failures_leave_no_more_series_than_are_remembered(server: Running, catalog: Catalog) -> None:
    for version in range(1, MOST_PAST + 50):
        catalog.residents.failed(("nobody", version), "broken")
    page = await server.page()
    assert page.count('rhapsode_model_failed{model="nobody"') == MOST_PAST


async def test_what_retires_counts_but_says_no_more_how_things_are(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    old = catalog.find("tiny-text")
    assert old.text is not None
    replaced = come(catalog, versions.load("tiny-text", 1))
    new = catalog.find("tiny-text")
    assert new.text is not None
    slots = value(server, "rhapsode_slots", 1)
    before = value(server, "rhapsode_run_seconds_count", 1)
    old.text._metrics.jobs_changed(old.text.jobs._replace(queued=7, room=3))
    old.text._metrics.ran(1, 0.01)
    assert value(server, "rhapsode_queue_depth", 1) == 0
    assert value(server, "rhapsode_slots", 1) == slots
    assert value(server, "rhapsode_run_seconds_count", 1) == (before or 0) + 1
    assert replaced is not None
    await away(catalog, replaced)
    new.text._metrics.jobs_changed(new.text.jobs._replace(queued=5))
    assert value(server, "rhapsode_queue_depth", 1) == 5
    assert value(server, "rhapsode_expected_wait_seconds", 1) == 0


async def test_what_was_ill_is_forgotten_with_it(server: Running, catalog: Catalog, versions: Versions) -> None:
    health, old = server.server._health, catalog.find("tiny-text").text
    assert old is not None
    ill = ModelUnhealthy("it has failed again and again")
    old._condition.tell(ill)
    assert health._state("tiny-text") == 2
    replaced = come(catalog, versions.load("tiny-text", 1))
    assert health._state("tiny-text") == 1
    old._condition.tell(ill)  # of one that nobody can ask for any more
    assert health._state("tiny-text") == 1
    assert replaced is not None
    old._condition.tell(DeviceLost("the device is lost"))
    assert health._state("liveness") == 2
    assert server.server.fate.exit_code
    await away(catalog, replaced)


async def test_the_watchdog_sees_a_driver_that_came_later(
    server: Running, catalog: Catalog, versions: Versions
) -> None:
    told: list[str] = []
    log: Any = None
    dog = Watchdog(catalog.drivers, lambda lane, _: told.append(lane.name), 5, 60, log, lambda do, *what: do(*what))
    dog._look_at_runs(0)
    new = versions.load("tiny-text")
    come(catalog, new)
    driver = catalog.find("tiny-text@2").text
    assert driver is not None
    driver.run = Run(1, 1)
    for now in range(10):
        dog._look_at_runs(now)
    assert told == ["tiny-text@2/step"]
    del driver
    await leave(catalog, new)
    await asyncio.sleep(0)
    assert "tiny-text@2/step" not in {each.name for each in catalog.drivers()}
    assert len(dog._told) == 0  # it keeps nobody in memory


class Worker:
    """A process with models, as its supervisor hears of it."""

    def __init__(self, ledger: Ledger, *served: tuple[str, int]) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self._ledger = ledger
        for name, version in served:
            self.come(name, version)

    def come(self, name: str, version: int) -> None:
        self.metrics.versions.loaded(name, version, "digest", "fingerprint", "cpu", 1.0)
        lane = self.metrics.lane(name, version, "step", 1)
        lane.ran(3, 0.1)
        lane.items(5)
        self.tell()

    def go(self, name: str, version: int, last: bool) -> None:
        self.metrics.unloaded(name, version)
        if last:
            self.metrics.forget(name)
        self.tell()

    def tell(self) -> None:
        self._ledger.tell(self, list(self.registry.collect()))


def samples(ledger: Ledger, name: str) -> dict[str, float]:
    families: list[Family] = list(ledger.collect())
    sums: dict[str, float] = {}
    for sample in (sample for family in families for sample in family.samples if sample.name == name):
        key = "@".join((sample.labels["model"], sample.labels.get("version", "")))
        sums[key] = sums.get(key, 0) + sample.value
    return sums


def test_no_counter_of_several_workers_falls_while_one_of_them_has_the_version() -> None:
    ledger = Ledger(CollectorRegistry(), lambda: None)
    one, other = Worker(ledger, ("m", 1), ("n", 1)), Worker(ledger, ("m", 1), ("n", 1))
    runs = "rhapsode_run_seconds_count"
    assert samples(ledger, runs) == {"m@1": 2, "n@1": 2}
    one.go("m", 1, last=True)
    assert samples(ledger, runs) == {"m@1": 2, "n@1": 2}
    assert samples(ledger, "rhapsode_items_generated_total")["m@"] == 10
    ledger.bury(one)
    other.go("m", 1, last=True)
    assert samples(ledger, runs) == {"n@1": 2}
    assert "m@" not in samples(ledger, "rhapsode_items_generated_total")
    again = Worker(ledger, ("m", 1), ("m", 2))
    again.go("m", 1, last=False)
    assert samples(ledger, runs) == {"n@1": 2, "m@2": 1}
    assert samples(ledger, "rhapsode_items_generated_total")["m@"] == 10


def test_a_version_that_each_of_several_workers_could_not_load_is_one() -> None:
    ledger = Ledger(CollectorRegistry(), lambda: None)
    for worker in (Worker(ledger), Worker(ledger)):
        worker.metrics.versions.loads({("m", 1): True, ("m", 2): False})
        worker.tell()
    values = [family.samples for family in ledger.collect() if family.name == "rhapsode_model_failed"]
    assert [(each.labels["version"], each.value) for each in values[0]] == [("1", 1), ("2", 0)]
