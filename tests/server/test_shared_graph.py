"""Rows of a graph's role and rows of tensors share runs, and none of them shows it or suffers for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rhapsode_server.errors import OutOfMemory, RunFailed, TensorsRefused
from rhapsode_server.models.base import ONE, Outcome
from rhapsode_server.models.denoiser import Canvas, Denoiser
from rhapsode_server.models.graph_model import Arrays
from rhapsode_server.models.shared_graph import SharedGraph
from rhapsode_server.models.tensors import Range, TensorModel, TensorRow, can_be_drawn
from rhapsode_server.models.transform import Transformer, TransformRow
from rhapsode_server.repository.schema import CRITIC, DECODE, DENOISE, ENCODE, GIBBS, STEP, TRANSFORM
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import bundles, graphs, text_bundles
from support.server import Loaded, load
from support.shared_graphs import SIGNAL, Watched, denoise_row, picture, rows_of, said, tensor_rows

PARTS = {
    "tiny-shapes": DECODE,
    "tiny-faces": ENCODE,
    "tiny-judge": CRITIC,
    "tiny-mirror": TRANSFORM,
    "tiny-noise": DENOISE,
    "tiny-chain": GIBBS,
    "tiny-taste": CRITIC,
}
BATCH = 16


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder: Path = tmp_path_factory.mktemp("shared")
    for draft in (bundles.class_generator(), bundles.autoencoder(), bundles.judge(), bundles.transformer()):
        draft.write(folder)
    for draft in (bundles.diffusion(), bundles.boltzmann(), bundles.cipher(), bundles.stepper()):
        draft.write(folder)
    text_bundles.text_critic("tiny-taste", longest=6).write(folder)
    return load(folder)


def graph_of(models: Loaded, name: str) -> Any:
    return models.models.find(name).tensors[PARTS.get(name, TRANSFORM)]


@pytest.mark.parametrize("name", PARTS)
def test_rows_of_both_kinds_give_in_one_run_what_they_give_alone(models: Loaded, name: str) -> None:
    graph = graph_of(models, name)

    def typed() -> list[Any]:
        return rows_of(name, range(4))

    def raw() -> list[TensorRow]:
        return tensor_rows(graph._typed.feeds(rows_of(name, range(4, 8))))

    session = graph._typed._session
    graph._typed._session = watched = Watched(session)
    try:
        together = graph.advance([each for pair in zip(raw(), typed(), strict=False) for each in pair])
    finally:
        graph._typed._session = session
    assert len(watched.runs) == 1
    assert [said(each) for each in together[1::2]] == [said(graph.advance([row])[0]) for row in typed()]
    assert [said(each) for each in together[::2]] == [said(graph.advance([row])[0]) for row in raw()[:4]]
    assert all(outcome.done and outcome.raw and outcome.made == 1 for outcome in together[::2])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -3e38, 1e-45])
@pytest.mark.parametrize("name", PARTS)
def test_numbers_that_no_request_of_the_role_has_leave_its_rows_alone(models: Loaded, name: str, wrong: float) -> None:
    graph = graph_of(models, name)
    feeds = graph._typed.feeds(rows_of(name, range(4, 8)))
    raw = tensor_rows(
        {key: np.full_like(each, wrong) if each.dtype.kind == "f" else each for key, each in feeds.items()}
    )
    wanted = [said(outcome) for outcome in graph.advance(rows_of(name, range(4)))]
    assert [said(outcome) for outcome in graph.advance([*raw, *rows_of(name, range(4))])[len(raw) :]] == wanted


@pytest.mark.parametrize("name", ["tiny-noise", "tiny-chain"])
def test_rows_of_many_steps_go_on_beside_tensors(models: Loaded, name: str) -> None:
    graph = graph_of(models, name)
    alone, beside = rows_of(name, range(3)), rows_of(name, range(3))
    raw = tensor_rows(graph._typed.feeds(rows_of(name, range(5, 9))))
    for _ in range(3):
        wanted = [said(outcome) for outcome in graph.advance(alone)]
        assert [said(outcome) for outcome in graph.advance([*raw, *beside])[len(raw) :]] == wanted
    assert graph.wants(raw[0]) == ONE


def test_tensors_come_back_as_the_graph_gives_them(models: Loaded) -> None:
    graph = graph_of(models, "tiny-cipher")
    message, key = np.arange(6, dtype=np.float32), np.full(6, 2, np.float32)
    (outcome,) = graph.advance([TensorRow({"message": message, "key": key})])
    assert outcome.events[0].outputs["sent"].tolist() == (message * key).tolist()
    judged = graph_of(models, "tiny-judge").advance([TensorRow({"image": picture(1)})])[0].events[0].outputs
    assert {name: values.shape for name, values in judged.items()} == {"realness": (), "class_logits": (3,)}
    assert all(isinstance(values, np.ndarray) and values.base is None for values in judged.values())


def guided(session: Any) -> SharedGraph:
    denoiser = Denoiser(session, Canvas((1, 8, 8), -1.0, 1.0), SIGNAL, 3, BATCH)
    example = tensor_rows(denoiser.feeds([denoise_row(0, 1.0)]))[0]
    return SharedGraph(TensorModel(session, BATCH, example, {"class_id": Range(0, 4)}), denoiser, joins=True)


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(RuntimeOptions(provider="cpu", threads=1))


def test_no_run_has_more_rows_than_it_may_guided_ones_counted_twice(runtime: Runtime) -> None:
    session = Watched(runtime.session(graphs.denoiser(seed=1, classes=3).SerializeToString()))
    graph = guided(session)
    raw = tensor_rows(graph._typed.feeds([denoise_row(n, 1.0) for n in range(6)]))  # type: ignore[union-attr]
    rows = [denoise_row(n, 2.0) for n in range(10)]
    together = graph.advance([*rows, *raw])
    assert session.runs == [BATCH, 10]
    alone = graph.advance([denoise_row(n, 2.0) for n in range(10)])
    assert [said(one) for one in together[:10]] == [said(one) for one in alone]
    assert [said(one) for one in together[10:]] == [said(graph.advance([row])[0]) for row in raw]


def test_an_index_that_there_is_not_is_refused_before_any_run(runtime: Runtime) -> None:
    session = Watched(runtime.session(graphs.denoiser(seed=1, classes=3).SerializeToString()))
    graph = guided(session)
    inputs = {"image": picture(1, 1), "time": np.array(3, np.float32)}
    bad = [TensorRow(inputs | {"class_id": np.array(number)}) for number in (4, -1)]
    good = TensorRow(inputs | {"class_id": np.array(3)})
    outcomes = graph.advance([bad[0], denoise_row(0, 1.0), good, bad[1]])
    assert [type(outcome.error) for outcome in outcomes] == [TensorsRefused, type(None), type(None), TensorsRefused]
    assert session.runs == [2]
    assert [str(outcome.error) for outcome in graph.advance(bad)] == ["class_id must be in [0, 4)"] * 2
    assert session.runs == [2]


class Touchy:
    """A transform that fails, as it is told to, where a picture has a number above ten; or always."""

    def __init__(self, error: Exception, always: bool = False) -> None:
        self.error = error
        self.always = always
        self.runs: list[int] = []

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        self.runs.append(len(feeds["image"]))
        if self.always or feeds["image"].max() > 10:
            raise self.error
        return {"transformed": -feeds["image"]}


def touchy(error: Exception, always: bool = False, joins: bool = True) -> tuple[Touchy, SharedGraph]:
    session = Touchy(error, always)
    return session, SharedGraph(TensorModel(session, BATCH, plain(0), {}), Transformer(session, BATCH), joins)


def plain(value: float) -> TensorRow:
    return TensorRow({"image": np.full((1, 2, 2), value, np.float32)})


def typed(value: float) -> TransformRow:
    return TransformRow(np.full((1, 2, 2), value, np.float32))


def values(outcomes: Sequence[Outcome[Any]]) -> list[float | type]:
    """The first number that each row gave, or the class of its error."""
    return [type(outcome.error) if outcome.error else _first(outcome) for outcome in outcomes]


def _first(outcome: Outcome[Any]) -> float:
    (told,) = outcome.events
    return float((told.outputs["transformed"] if outcome.raw else told.values).flat[0])


def test_rows_of_the_role_never_fail_for_tensors() -> None:
    session, graph = touchy(RunFailed("no"))
    assert values(graph.advance([typed(1), plain(11), typed(2), plain(3)])) == [-1, TensorsRefused, -2, -3]
    assert session.runs[0] == 4


def test_where_the_model_fails_its_tensors_are_not_blamed() -> None:
    _, graph = touchy(RunFailed("no"), always=True)
    for rows in ([plain(1)], [plain(1), typed(1)], [typed(1)]):
        with pytest.raises(RunFailed):
            graph.advance(rows)


def test_want_of_memory_is_told_at_once() -> None:
    session, graph = touchy(OutOfMemory("no"))
    with pytest.raises(OutOfMemory):
        graph.advance([plain(11), plain(1), typed(1)])
    assert session.runs == [3]


def test_kinds_run_apart_where_company_shows() -> None:
    session, graph = touchy(RunFailed("no"), joins=False)
    assert values(graph.advance([typed(1), plain(3), typed(2)])) == [-1, -3, -2]
    assert session.runs == [1, 2]


def test_rows_that_are_to_be_run_again_stand_where_they_stood(runtime: Runtime) -> None:
    inner = runtime.session(graphs.denoiser(seed=1, classes=3).SerializeToString())

    class Cramped:
        """Has no memory for a second run."""

        def __init__(self) -> None:
            self.runs = 0

        def run(self, feeds: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
            self.runs += 1
            if self.runs == 2:
                raise OutOfMemory("no")
            return inner.run(feeds)

    graph = guided(Cramped())
    graph._joins = False
    row, other = denoise_row(0, 2.0), denoise_row(0, 2.0)
    raw = tensor_rows(graph._typed.feeds([denoise_row(1, 1.0)]))  # type: ignore[union-attr]
    with pytest.raises(OutOfMemory):
        graph.advance([row, *raw])
    assert row.progress.taken == 0
    assert said(graph.advance([row, *raw])[0]) == said(guided(inner).advance([other])[0])


def test_what_is_not_finite_is_told_to_nobody(models: Loaded) -> None:
    graph = graph_of(models, "tiny-cipher")
    key = np.ones(6, np.float32)
    rows = [TensorRow({"message": np.array([0, 0, wrong, 0, 0, 0], np.float32), "key": key}) for wrong in (1, np.nan)]
    fine, bad = graph.advance(rows)
    assert fine.error is None
    assert isinstance(bad.error, TensorsRefused)
    assert not bad.events


def test_logits_may_forbid_tokens() -> None:
    logits = np.array([[0, -np.inf], [-np.inf, -np.inf], [np.nan, 0], [np.inf, 0], [0, 0], [0, 0]], np.float32)
    state = np.array([[0], [0], [0], [0], [np.nan], [-np.inf]], np.float32)
    given: Arrays = {"logits": logits, "next": state, "count": np.zeros((6, 1), np.int64)}
    assert can_be_drawn(given).tolist() == [True, False, False, False, False, True]


def test_a_step_graph_by_itself_gives_what_the_plain_stepper_is_made_of(models: Loaded) -> None:
    model = models.models.find("tiny-text")
    graph = model.tensors[STEP]
    session = graph._tensors._session
    rng = np.random.Generator(np.random.PCG64(3))
    feeds = {"token": np.arange(8), **{name: rng.normal(size=(8, 16)).astype("f4") for name in ("alpha_in", "beta_in")}}
    wanted = session.run(feeds)
    given = [outcome.events[0].outputs for outcome in graph.advance(tensor_rows(feeds))]
    assert {name: [row[name].tobytes() for row in given] for name in wanted} == {
        name: [values[place].tobytes() for place in range(8)] for name, values in wanted.items()
    }
    bad = TensorRow({name: values[0, ...] for name, values in feeds.items()} | {"token": np.array(30)})
    assert isinstance(graph.advance([bad])[0].error, TensorsRefused)
