"""Tensors that a graph cannot be run on: whoever sends them bears the cost, in few runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.tally import Ledger, Sum
from rhapsode_server.errors import NonFiniteOutput, RhapsodeError, TensorsRefused, TensorsUntried
from rhapsode_server.models.base import Outcome
from rhapsode_server.models.shared_graph import SharedGraph
from rhapsode_server.models.tensors import TensorModel, TensorRow, Tensors, refusal
from rhapsode_server.models.transform import Transformer, TransformRow
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles, graphs
from support.server import load, running
from support.shared_graphs import Watched

BATCH = 64


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(RuntimeOptions(provider="cpu", threads=1))


def table(runtime: Runtime) -> Watched:
    """One that ends its run for an index that there is not."""
    return Watched(runtime.session(graphs.table().SerializeToString()))


def at(index: int) -> TensorRow:
    return TensorRow({"index": np.array(index, np.float32)})


def test_tensors_that_end_a_run_end_no_others(runtime: Runtime) -> None:
    session = table(runtime)
    graph = SharedGraph(TensorModel(session, BATCH, at(0), {}), None, joins=True)
    outcomes = graph.advance([at(n) for n in (0, 99, 2, 3, 4, 1, -77, 0)])
    errors = [type(outcome.error) for outcome in outcomes]
    assert [place for place, error in enumerate(errors) if error is TensorsRefused] == [1, 6]
    assert errors.count(type(None)) == 6
    assert outcomes[3].events[0].outputs["found"].tolist() == [6, 7]
    assert session.runs[:4] == [8, 1, 4, 4], "the whole, the example, and the halves"
    assert len(session.runs) <= 2 + 2 * 2 * 3, "and a way down to each of the two"


def test_very_many_rows_at_fault_take_few_runs(runtime: Runtime) -> None:
    for bad, told in ((range(64), TensorsUntried), (range(0, 64, 8), type(None)), (range(5), type(None))):
        session = table(runtime)
        graph = SharedGraph(TensorModel(session, BATCH, at(0), {}), None, joins=True)
        outcomes = graph.advance([at(99 if n in bad else 1) for n in range(64)])
        assert {type(outcomes[n].error) for n in bad} <= {TensorsRefused, TensorsUntried}
        good = {type(outcomes[n].error) for n in range(64) if n not in bad}
        assert good <= {type(None), TensorsUntried}
        assert told in {type(outcome.error) for outcome in outcomes}
        assert len(session.runs) <= 2 + 2 * 2 * 6


@pytest.mark.parametrize("size", range(1, 18))
def test_two_rows_at_fault_are_always_found(runtime: Runtime, size: int) -> None:
    session = table(runtime)
    graph = SharedGraph(TensorModel(session, BATCH, at(0), {}), None, joins=True)
    for bad in ({0, size - 1}, {size // 2}, {size // 3, size // 2}):
        outcomes = graph.advance([at(99 if n in bad else 1) for n in range(size)])
        assert {n for n, outcome in enumerate(outcomes) if outcome.error} == bad
        assert {type(outcomes[n].error) for n in bad} == {TensorsRefused}


class Scaled:
    """A transform that multiplies."""

    def __init__(self, factor: float) -> None:
        self.factor = np.float32(factor)
        self.runs: list[int] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        self.runs.append(len(feeds["image"]))
        with np.errstate(over="ignore"):
            return {"transformed": feeds["image"] * self.factor}


def transform(factor: float) -> tuple[Scaled, SharedGraph]:
    session = Scaled(factor)
    example = TensorRow({"image": np.ones(1, np.float32)})
    return session, SharedGraph(TensorModel(session, BATCH, example, {}), Transformer(session, BATCH), joins=True)


@pytest.mark.parametrize("beside", [[], [TransformRow(np.ones(1, np.float32))]])
def test_tensors_are_at_fault_for_what_is_not_finite_where_the_model_is_well(beside: list[TransformRow]) -> None:
    huge = TensorRow({"image": np.array([3e38], np.float32)})
    session, well = transform(2)
    fine, bad, *others = well.advance([TensorRow({"image": np.ones(1, np.float32)}), huge, *beside])
    assert isinstance(bad.error, TensorsRefused)
    assert not any(outcome.error for outcome in (fine, *others))
    assert session.runs == [2 + len(beside), 1], "all rows, and the example"
    broken = transform(np.inf)[1].advance([huge, *beside])
    assert {type(outcome.error) for outcome in broken} == {NonFiniteOutput}


async def test_runs_that_are_taken_apart_are_counted_and_so_are_their_rows(tmp_path: Path) -> None:
    bundles.cipher("tiny-table", graphs.table()).write(tmp_path)
    async with running(load(tmp_path)) as server:
        driver = server.server.catalog.find("tiny-table").graphs["transform"]
        jobs = [driver.submit([at(n)], None, Pace(whole=True)) for n in (1, 99, 2)]
        ends = [await failure(job) for job in jobs]
        assert [type(end) for end in ends] == [type(None), TensorsRefused, type(None)]
        seen = server.server.registry.get_sample_value(
            "rhapsode_runs_taken_apart_total", {"model": "tiny-table", "version": "1", "role": "transform"}
        )
        assert seen
        assert driver.tally.rows == sum(size * runs.number for size, runs in driver.tally.by_size.items()) == 2


async def failure(job: Outbox[TensorRow, Tensors]) -> Exception | None:
    """How a job ends."""
    try:
        async with job:
            _ = [news async for news in job]
    except RhapsodeError as error:
        return error
    return None


def test_rows_that_are_refused_are_no_part_of_a_runs_size() -> None:
    ledger = Ledger()
    ledger.ran([Outcome(done=True), refusal("no"), Outcome(done=True, error=NonFiniteOutput("NaN"))], 0.5, 1.0)
    assert ledger.read().by_size == {2: Sum(1, 0.5)}
    ledger.ran([refusal("no")], 0.5, 1.0)
    assert ledger.read().runs == Sum(1, 0.5)
