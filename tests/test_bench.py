"""The benchmark measures what it says, and its arithmetic is right."""

import os
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import cold, report, verdicts
from benchmarks.alone import Alone
from benchmarks.bundles import Folders
from benchmarks.cases import DIGITS, TEXT_1, TEXT_64, Case, Measurement, Way
from benchmarks.cold import BARE, RESIDENT, START, start_figures
from benchmarks.cost import cpu_seconds
from benchmarks.empty import running_empty_server
from benchmarks.foreign import Size, write_foreign
from benchmarks.plan import FULL_LOAD, PROMPTS, TEXT_1024, Task
from benchmarks.rounds import Round
from benchmarks.served import measure, measure_arrivals
from benchmarks.spread import Spread, percentile, spread
from benchmarks.standstill import STILL, standstill_figures
from benchmarks.text_limits import BareLoop, FusedLoop, PlainLoop
from deploy import page
from deploy.local_server import running_server

from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles

Times = tuple[float, ...]
ON_CPU = "--provider=cpu"
TEXT = Case("text", "text", "tiny-text", requests=3, items=5)
IMAGES = Case("images", "images", "tiny-digits", requests=2, items=4, repeats=2)
NOISE = Case("noise", "images", "tiny-noise", requests=3, items=2, repeats=2)
WIDE = replace(TEXT, name="wide", model="tiny-wide")
PROMPTED = replace(TEXT, name="prompted", requests=70, prompt=4, load=0.5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folder = tmp_path_factory.mktemp("models")
    bundles.write_all(folder / "measured")
    bundles.diffusion().write(folder / "measured")
    write_foreign(folder / "measured", WIDE.model, Size(vocabulary=50, embedding=8, width=16))
    return Folders(folder / "measured", folder)


def taken(case: Case, way: Way, cpu: float, wall: float = 1.0, firsts: Times = (), ends: Times = ()) -> Measurement:
    return Measurement(case.name, way, case.total, wall, cpu * case.total, firsts=firsts, ends=ends)


def test_a_stream_stands_still_for_as_long_as_its_server_takes_at_least(folders: Folders, tmp_path: Path) -> None:
    start, still = standstill_figures(folders.measured, TEXT.model, tmp_path / "log", (ON_CPU,))
    assert (start.name, still.name) == (START, STILL)
    assert start.value > 0
    assert still.value > 0.2


async def test_a_load_is_measured_in_every_way(folders: Folders, tmp_path: Path) -> None:
    alone = Alone(folders, Runtime(RuntimeOptions(provider="cpu")))
    walk, png = replace(IMAGES, kind="walk", requests=1), replace(IMAGES, form="png")
    with running_server(folders.measured, tmp_path / "log", ON_CPU) as server:
        served = [await measure(server, case, "served", 1) for case in (TEXT, WIDE, IMAGES, png, walk, NOISE)]
        served.append(await measure_arrivals(server, PROMPTED, "served", 1, rate=1_000.0))
        lanes = {(lane.model, lane.role): lane.rows for lane in page.lanes(page.fetch(server.metrics_address))}
    assert [one.items for one in served] == [15, 15, 16, 16, 8, 12, 70 * 8]
    assert [len(one.firsts) for one in served] == [3, 3, 4, 4, 2, 6, 70]
    assert all(0 < first <= end for one in served for first, end in zip(one.firsts, one.ends, strict=True))
    assert lanes["tiny-digits", "decode"] == 16 + 16 + 8
    assert lanes["tiny-noise", "denoise"] == 12 * 5
    loops: list[tuple[Case, Way]] = [
        (TEXT, "plain"),
        (TEXT, "bare"),
        (WIDE, "fused"),
        (IMAGES, "decode"),
        (NOISE, "denoise"),
    ]
    for case, way in (*loops, (png, "decode")):
        assert alone.measure(case, way, 1).items == case.total


def test_every_loop_in_process_draws_the_same_tokens(folders: Folders) -> None:
    runtime = Runtime(RuntimeOptions(provider="cpu"))
    case = replace(TEXT, requests=8, items=37)
    loops = [loop(folders.read(case.model), runtime) for loop in (PlainLoop, BareLoop, FusedLoop)]
    plain, bare, fused = (loop.make(case, 5).tolist() for loop in loops)
    assert plain == bare == fused
    assert plain != loops[0].make(case, 6).tolist()


async def test_the_empty_server_answers_with_a_picture() -> None:
    case = Case("empty", "images", DIGITS, requests=3, items=1)
    with running_empty_server() as server:
        assert (await measure(server, case, "empty", 1)).items == 3
        with pytest.raises(RuntimeError, match="a request gave 1 of 2 images"):
            await measure(server, replace(case, items=2), "empty", 1)
    with pytest.raises(ProcessLookupError):
        os.kill(server.process_id, 0)


def test_a_server_from_nothing_is_timed_and_weighed(folders: Folders, tmp_path: Path) -> None:
    figures = {one.name: one.value for one in start_figures(folders.measured, tmp_path / "log", (ON_CPU,))}
    assert figures.keys() == {START, RESIDENT, BARE}
    assert 0 < figures[START] < cold.STARTS_WITHIN
    assert figures[RESIDENT] > figures[BARE] > 0


def test_a_foreign_bundle_is_written_once(folders: Folders) -> None:
    manifest = folders.measured / WIDE.model / "1" / "bundle.json"
    before = manifest.stat().st_mtime_ns
    write_foreign(folders.measured, WIDE.model, Size())
    assert manifest.stat().st_mtime_ns == before


def test_spreads_are_medians_between_quartiles() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(2.0, 3.0, 4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)
    assert str(Spread(1234.4, 2345.6, 3456.7)) == "2,346 (1,234–3,457)"
    values = [float(value) for value in range(1, 101)]
    random.Random(1).shuffle(values)
    assert [percentile(values, share) for share in (0.01, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]


def test_ratios_are_taken_round_by_round() -> None:
    rounds = [
        Round((taken(TEXT_64, "served", cost), taken(TEXT_64, "fused", limit)))
        for cost, limit in ((1.0, 1.0), (22.0, 20.0), (3.9, 3.0))
    ]
    (verdict,) = verdicts.judge(rounds)
    assert verdict.found.middle == pytest.approx(1.1)
    assert verdict.met
    sheet = report.load_sheet(rounds, (Task(TEXT_64, ("served", "fused"), "fused"),), "title")
    assert [line[4] for line in sheet.lines] == ["1.10 (1.05–1.20)", "1.00 (1.00–1.00)"]
    assert sheet.markdown().startswith("title\n\n| case | way |")


def test_a_missed_target_is_told() -> None:
    ends = tuple(np.linspace(1.0, 1.2, 1_023).tolist())
    streams = taken(TEXT_1024, "served", 1.0, firsts=(0.1,) * 1_024, ends=(*ends, 9.0))
    (verdict,) = verdicts.judge([Round((streams,))])
    assert not verdict.met
    assert report.verdict_sheet([verdict]).lines[0][1:3] == ("MISSED", "8.18 (8.18–8.18)")


def test_the_first_token_is_held_against_steps() -> None:
    plain = taken(TEXT_1, "plain", 0.0, wall=TEXT_1.total * 0.001)
    firsts = [taken(case, "served", 0.0, firsts=(0.001 * case.prompt + 0.0025,)) for case in PROMPTS]
    found = [verdicts.first_beyond_steps(case)(Round((plain, one))) for case, one in zip(PROMPTS, firsts, strict=True)]
    assert found == pytest.approx([1.5, 0.5, 0.5, 0.5])


def test_an_arrival_is_held_against_the_steps_of_its_company() -> None:
    narrow = taken(TEXT_1, "fused", 0.0, wall=TEXT_1.total * 0.001)
    wide = taken(TEXT_64, "fused", 0.0, wall=TEXT_64.items * 0.004)
    arrivals = taken(FULL_LOAD, "served", 0.0, firsts=(0.5,) * 256, ends=(32.5 / 256,) * 256)
    beyond = verdicts.arrival_beyond_steps(FULL_LOAD, 0.99)(Round((narrow, wide, arrivals)))
    assert beyond == pytest.approx(500 - 100 * 2.5)


def test_own_cpu_time_is_that_of_the_clock() -> None:
    before = cpu_seconds(os.getpid())
    sum(number * number for number in range(1_000_000))
    assert 0.01 < cpu_seconds(os.getpid()) - before < 10
