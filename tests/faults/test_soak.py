"""A soak of a moment, with a third of the requests spoilt; what a long one tells of its looks."""

import math
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from benchmarks.abuse.victim import models
from benchmarks.soak import faults
from benchmarks.soak.findings import Findings
from benchmarks.soak.load import Told
from benchmarks.soak.reloading import Reloads
from benchmarks.soak.slopes import slope
from benchmarks.soak.soak import Scale, Target, soak
from benchmarks.soak.trends import trends
from benchmarks.soak.watch import Look
from benchmarks.vitals import Vitals

from support.server import process

MODELS = ("digits-gan", "faces-codec", "fiddle-rnn")
IDLE = Vitals(cpu_seconds=1.0, memory=0, descriptors=20, threads=9, tasks=7, slots=0, queued=0, open_rpcs=0)
MIB = 2**20


def test_every_promise_is_held_in_a_short_soak(tmp_path: Path) -> None:
    admin = f"unix:{tmp_path}/admin"
    with (
        models(names=MODELS) as folder,
        process(folder, "--stall-timeout=1", "--admin-address", admin) as server,
    ):
        target = Target(server.process.pid, server.address, server.metrics_address, admin, MODELS)
        scale = Scale(seconds=1.5, load=0.2, spoilt=0.3, stall=1.0, seeds=2, reload=0.5, interval=0.5)
        findings = soak(target, scale)
        assert findings.told.offences == ()
        assert [promise for promise in findings.promises() if not promise.held] == []
        assert len(findings.told.ended) > 10
        assert findings.reloads.done > 0
        assert server.stop() == 0


def _found(grows: float, bends: float = 0.0, tasks: float = 0.0, descriptors: float = 0.0) -> Findings:
    """Ten minutes in which memory grows by so many MiB a minute, plus a bend; and tasks and descriptors. And noise."""
    dice = np.random.default_rng(3)
    noise, busy = dice.normal(0.0, 0.3, 121), dice.poisson(20, 121)
    looks = [
        Look(
            at,
            replace(
                IDLE,
                memory=round((100 + grows * at / 60 + bends * math.sqrt(at) + wild) * MIB),
                tasks=IDLE.tasks + int(rpcs + tasks * at / 60),
                descriptors=IDLE.descriptors + int(rpcs / 4 + descriptors * at / 60),
            ),
        )
        for at, wild, rpcs in zip(np.arange(0.0, 605.0, 5.0), noise, busy, strict=True)
    ]
    return Findings(600.0, 10.0, 1, Told((), ()), Reloads(), tuple(looks), IDLE, IDLE)


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (_found(0.0), []),
        (_found(0.0, bends=0.2), []),
        (_found(2.0), ["memory slope after the warm-up"]),
        (_found(0.0, tasks=3.0), ["tasks under load, by halves"]),
        (_found(0.0, descriptors=2.0), ["descriptors under load, by halves"]),
        (replace(_found(0.0), after=replace(IDLE, slots=1)), ["slots, waiting jobs and rpcs left over"]),
        (replace(_found(0.0), after=replace(IDLE, descriptors=30)), ["descriptors left over"]),
        (replace(_found(0.0), after=replace(IDLE, tasks=30)), ["tasks left over"]),
        (replace(_found(0.0), told=Told((), ("request 1: hung",))), ["offences in 0 histories"]),
        (replace(_found(0.0), reloads=Reloads(1, ["m: LOAD_FAILED"])), ["loads that failed"]),
        (replace(_found(0.0), exit_code=None), ["exit code of the stop"]),
    ],
)
def test_findings_say_what_was_broken(found: Findings, broken: list[str]) -> None:
    said = [promise.text for promise in found.promises() if not promise.held]
    assert [text for text in said if text != "memory slope by halves"] == broken


def test_growth_that_quickens_is_not_falling() -> None:
    times = np.arange(0.0, 605.0, 5.0)
    looks = tuple(Look(at, replace(IDLE, memory=round(at * at / 3600 * MIB))) for at in times)
    found = trends(looks)
    assert found is not None
    assert not found.growth.falls


def test_too_few_looks_say_nothing_of_growth() -> None:
    assert trends(_found(9.0).looks[:20]) is None


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3])
def test_what_is_harmless_is_no_part_of_the_faults(share: float) -> None:
    dice = Random(1)
    drawn = [faults.draw(dice, share) for _ in range(20_000)]
    assert sum(one in faults.SHARES for one in drawn) / len(drawn) == pytest.approx(share, abs=0.01)
    assert {one for one in drawn if one not in faults.SHARES} == {"", *faults.HARMLESS}


def test_a_slope_lies_in_its_interval_and_wild_points_do_not_move_it() -> None:
    times = np.arange(60.0)
    values = 3.0 * times + np.random.default_rng(1).normal(0.0, 2.0, 60)
    values[::15] += 500.0
    found = slope(times, values)
    assert found.low < 3.0 < found.high
    assert abs(found.middle - 3.0) < 0.3
