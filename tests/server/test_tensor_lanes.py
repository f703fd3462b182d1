"""Requests of tensors ride the drivers of their graphs: the same slots, batches, limits, metrics and tallies."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rhapsode.v1.text_pb2 import Sampling
from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.errors import QueueFull, TensorsRefused
from rhapsode_server.models.decoder import ImageRow
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.tensors import TensorRow
from rhapsode_server.rpc.served import Served
from support import bundles, graphs
from support.bundles import CHARACTERS
from support.countdown import bench, read, until
from support.requests import generate_text, text
from support.server import Loaded, Running, load, running

WHOLE = Pace(whole=True)
UNBOUNDED = Pace(whole=True, bound=1_000_000)
STATES = {"alpha_in": np.full(graphs.WIDTH, 0.25, np.float32), "beta_in": np.zeros(graphs.WIDTH, np.float32)}


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, queue=4) as made:
        yield made


def find(server: Running, name: str) -> Served:
    return server.server.catalog.find(name)


def latents(*seeds: int) -> list[TensorRow]:
    made = [np.random.Generator(np.random.PCG64(seed)).random(graphs.LATENT, np.float32) for seed in seeds]
    return [TensorRow({"latent": latent}) for latent in made]


async def events(driver: Driver[Any, Any], rows: Sequence[Any]) -> list[Any]:
    async with driver.submit(rows, None, WHOLE) as outbox:
        return [event async for deliveries in outbox for delivery in deliveries for event in delivery.events]


def sample(server: Running, name: str, **labels: str) -> float:
    return server.server.registry.get_sample_value(name, labels) or 0.0


async def test_every_graph_has_one_driver_for_all(server: Running) -> None:
    parts: list[tuple[str, dict[str, str]]] = [
        ("tiny-digits", {"decode": "decode", "critic": "critic"}),
        ("tiny-faces", {"decode": "decode", "encode": "encode"}),
        ("tiny-mirror", {"transform": "transform"}),
    ]
    for name, part_of_role in parts:
        served = find(server, name)
        shared: dict[Any, Any] = dict(served.graphs)
        assert shared == {role: getattr(served, part) for role, part in part_of_role.items()}
    words = find(server, "tiny-text")
    assert [driver.name for driver in words.drivers] == ["tiny-text@1/step", "tiny-text@1/step_raw"]
    assert words.graphs["step"].name == "tiny-text@1/step_raw"
    names = [driver.name for driver in server.server.catalog.drivers()]
    assert len(set(names)) == len(names)


async def test_tensors_and_pictures_share_runs_and_give_the_same(server: Running) -> None:
    driver: Driver[Any, Any] = find(server, "tiny-digits").graphs["decode"]
    before = driver.tally
    drawn = [ImageRow(number, Draw(5, number)) for number in range(6)]
    pictures, tensors = await asyncio.gather(events(driver, drawn), events(driver, latents(1, 2, 3)))
    again = await events(driver, [TensorRow({"latent": picture.latent}) for picture in pictures])
    assert [each.outputs["image"].tobytes() for each in again] == [each.values.tobytes() for each in pictures]
    assert len({each.outputs["image"].tobytes() for each in tensors}) == 3
    after = driver.tally
    assert after.rows - before.rows == 15
    assert sum(size * runs.number for size, runs in after.by_size.items()) == after.rows
    assert sample(server, "rhapsode_items_generated_total", model="tiny-digits", kind="tensors") >= 9


async def test_a_job_of_tensors_is_refused_where_any_would_be(loaded: Loaded) -> None:
    async with running(loaded, slots=1, queue=1) as server:
        driver: Driver[Any, Any] = find(server, "tiny-digits").graphs["decode"]
        async with driver.submit(latents(1) * 100_000, None, UNBOUNDED), driver.submit(latents(2), None, WHOLE):
            with pytest.raises(QueueFull):
                driver.submit([ImageRow(0, Draw(5, 0))], None, WHOLE)


async def test_tensors_that_no_graph_can_be_run_on_leave_the_model_well(server: Running) -> None:
    driver = find(server, "tiny-shapes").graphs["decode"]
    row = latents(1)[0].inputs
    for _ in range(8):
        with pytest.raises(TensorsRefused, match="class_id"):
            await events(driver, [TensorRow({**row, "class_id": np.array(7)})])
    assert len(await events(driver, [TensorRow({**row, "class_id": np.array(2)})])) == 1
    assert driver.tally.rows == 1
    assert sample(server, "rhapsode_run_failures_total", model="tiny-shapes", reason="run_failed") == 0


async def raw_step(driver: Driver[Any, Any], token: int, states: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    (told,) = await events(driver, [TensorRow({"token": np.array(token), **states})])
    return dict(told.outputs)


async def test_a_text_can_be_made_step_by_step(server: Running) -> None:
    wanted = await generate_text(server, text(12, text="ab", sampling=Sampling(temperature=0.0)))
    driver, states = find(server, "tiny-text").graphs["step"], dict(STATES)
    made = "ab"
    for place in range(13):
        given = await raw_step(driver, CHARACTERS.index(made[place]), states)
        states = {"alpha_in": given["zeta_out"], "beta_in": given["eta_out"]}
        if place:
            made += CHARACTERS[given["logits"].argmax()]
    assert made == "ab" + wanted.candidates[0].text


async def test_logits_that_no_token_can_be_drawn_from_are_told_to_nobody(server: Running) -> None:
    driver = find(server, "failing").graphs["step"]
    with pytest.raises(TensorsRefused):
        await raw_step(driver, CHARACTERS.index("z"), dict(STATES))
    lane = {"model": "failing", "version": "1", "role": "step_raw"}
    assert sample(server, "rhapsode_nonfinite_outputs_total", **lane) == 0, "the model is well, as its goldens show"


async def test_a_transform_of_tensors_that_are_no_pictures_is_served(tmp_path: Path) -> None:
    bundles.cipher().write(tmp_path)
    async with running(load(tmp_path)) as server:
        served = find(server, "tiny-cipher")
        assert served.transform is None
        message, key = np.arange(6, dtype=np.float32), np.full(6, 3, np.float32)
        (told,) = await events(served.graphs["transform"], [TensorRow({"message": message, "key": key})])
        assert told.outputs["sent"].tolist() == (message * key).tolist()


async def test_a_tally_counts_runs_of_which_rows_got_on_by_size() -> None:
    async with bench() as b:
        assert (b.driver.tally.runs.number, b.driver.tally.last_run) == (0, None)
        await read(b.submit(3, 3))
        seen = b.driver.tally
        assert (seen.rows, seen.runs.number) == (6, 3)
        assert {size: runs.number for size, runs in seen.by_size.items()} == {2: 3}
        assert seen.runs.seconds == pytest.approx(seen.by_size[2].seconds)
        assert seen.last_run is not None
        b.model.fault = ZeroDivisionError()
        async with b.submit(1) as outbox:
            await until(lambda: outbox._job.ended is not None)
        assert b.driver.tally._replace(last_run=None) == seen._replace(last_run=None)
