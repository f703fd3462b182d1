"""The tools around the server do what they say: the demonstration's server and figures, the benchmark's arithmetic."""

import os
from pathlib import Path

import pytest
from benchmarks import report
from benchmarks.alone import Alone
from benchmarks.cases import CASES, Case, Measurement
from benchmarks.cost import cpu_seconds
from benchmarks.served import measure
from deploy import page
from deploy.local_server import LocalServer, ServerFailedError, running_server

from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles

ON_CPU = "--provider=cpu"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder)
    return folder


async def test_a_case_is_measured_both_ways(models: Path, tmp_path: Path) -> None:
    text = Case("text", "text", "tiny-text", requests=3, items=5)
    images = Case("images", "images", "tiny-digits", requests=2, items=4, repeats=2)
    alone = Alone(models, Runtime(RuntimeOptions(provider="cpu")), {text.model, images.model})
    with running_server(models, tmp_path / "log", ON_CPU) as server:
        served = [await measure(server, case, seed=1) for case in (text, images)]
        lanes = page.lanes(page.fetch(server.metrics_address))
    assert [one.items for one in served] == [15, 16] == [alone.measure(case, 1).items for case in (text, images)]
    assert all(0 < one.first_seconds <= one.wall_seconds for one in served)
    assert {(lane.model, lane.role, lane.rows) for lane in lanes} == {
        (text.model, "step", 15),
        (images.model, "decode", 16),
    }


def test_a_server_ends_with_its_block(models: Path, tmp_path: Path) -> None:
    with running_server(models, tmp_path / "log", ON_CPU) as server:
        assert cpu_seconds(server.process_id) > 0
    assert not Path(f"/proc/{server.process_id}").exists()


def test_a_server_ends_with_an_error_in_its_block(models: Path, tmp_path: Path) -> None:
    seen: list[LocalServer] = []

    def interrupted() -> None:
        with running_server(models, tmp_path / "log", ON_CPU) as server:
            seen.append(server)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not Path(f"/proc/{seen[0].process_id}").exists()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    failing = running_server(tmp_path / "none", tmp_path / "log")
    with pytest.raises(ServerFailedError, match="before it was ready"), failing:
        pass


def test_spreads_are_medians_between_quartiles() -> None:
    assert report.spread([4.0, 1.0, 3.0, 2.0, 5.0]) == report.Spread(2.0, 3.0, 4.0)
    assert report.spread([7.0]) == report.Spread(7.0, 7.0, 7.0)


def test_a_summary_is_per_item() -> None:
    (summary,) = report.summarise([Measurement(CASES[0].name, "served", 10, 2.0, 0.001, 0.002, 0.5)])
    assert (summary.unit, summary.items_per_second.middle) == ("token", 5.0)
    assert (summary.cpu_us_per_item.middle, summary.client_cpu_us_per_item.middle) == (100.0, 200.0)
    assert summary.first_message_ms.middle == 500.0


def test_own_cpu_time_grows() -> None:
    before = cpu_seconds(os.getpid())
    sum(number * number for number in range(1_000_000))
    assert cpu_seconds(os.getpid()) >= before
