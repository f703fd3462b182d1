"""Boltzmann machines: chains whose noise their names decide, whatever they share their runs with."""

from collections.abc import Mapping

import numpy as np
import pytest

from rhapsode_server.models.base import Outcome
from rhapsode_server.models.decoder import Picture
from rhapsode_server.models.gibbs import GibbsRow, GibbsSampler
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.noise import Purpose, choice, single_uniforms, words, words_of_steps
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import graphs

CLASSES = 3
START = np.full(graphs.WIDTH, 0.25, np.float32)
NOISE = graphs.SIDE**2 + graphs.WIDTH


@pytest.fixture(scope="module")
def sampler() -> GibbsSampler:
    runtime = Runtime(RuntimeOptions(provider="cpu", threads=1))
    session = runtime.session(graphs.chain(seed=1, classes=CLASSES).SerializeToString())
    return GibbsSampler(session, START, NOISE, CLASSES, 16)


def finish(sampler: GibbsSampler, *rows: GibbsRow) -> dict[int, list[Picture]]:
    """Step rows together until all are done: the pictures of each by its index."""
    told: dict[int, list[Picture]] = {row.index: [] for row in rows}
    left = list(rows)
    while left:
        outcomes: list[Outcome[Picture]] = list(sampler.advance(left))
        for row, outcome in zip(left, outcomes, strict=True):
            told[row.index] += outcome.events
        left = [row for row, outcome in zip(left, outcomes, strict=True) if not outcome.done]
    return told


def test_a_row_gives_the_same_picture_in_any_company(sampler: GibbsSampler) -> None:
    alone = finish(sampler, GibbsRow(0, Draw(7, 3), steps=9))[0][0].values
    late = GibbsRow(0, Draw(7, 3), steps=9)
    others = [GibbsRow(number, Draw(number, 0), steps=2 + number) for number in range(1, 6)]
    sampler.advance(others)
    assert finish(sampler, *others, late)[0][0].values.tobytes() == alone.tobytes()


def test_a_longer_chain_begins_as_a_shorter_one_and_its_previews_show_it(sampler: GibbsSampler) -> None:
    short = finish(sampler, GibbsRow(0, Draw(7, 0), steps=4))[0]
    long = finish(sampler, GibbsRow(0, Draw(7, 0), steps=10, preview_every=4))[0]
    assert [picture.steps_taken for picture in long] == [4, 8, None]
    assert long[0].values.tobytes() == short[0].values.tobytes()
    assert long[1].values.tobytes() != short[0].values.tobytes()


def test_no_preview_is_told_of_the_last_step(sampler: GibbsSampler) -> None:
    told = finish(sampler, GibbsRow(0, Draw(7, 0), steps=6, preview_every=3))[0]
    assert [picture.steps_taken for picture in told] == [3, None]


def test_a_class_is_drawn_with_the_rows_noise_unless_it_is_given(sampler: GibbsSampler) -> None:
    drawn = choice(5, 2, CLASSES)
    pictures = [
        finish(sampler, GibbsRow(0, Draw(5, 2), class_id, steps=3))[0][0] for class_id in (None, *range(CLASSES))
    ]
    values = [picture.values.tobytes() for picture in pictures]
    assert values[0] == values[1 + drawn]
    assert len(set(values)) == CLASSES


def test_a_fresh_state_follows_the_start_of_the_bundle() -> None:
    seen: list[np.ndarray] = []

    class Session:
        def run(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
            seen.append(feeds["state"])
            return {"next_state": feeds["state"], "image": np.zeros((len(feeds["state"]), 1, 2, 2), np.float32)}

    start = np.array([0.0, 0.25, 1.0], np.float32)
    GibbsSampler(Session(), start, 3, 0, 500).advance([GibbsRow(row, Draw(1, row), steps=2) for row in range(500)])
    assert seen[0][9].tolist() == (single_uniforms(words(1, 9, Purpose.CHAIN_START, 0, 3)) < start).tolist()
    assert seen[0].mean(axis=0).tolist() == pytest.approx([0.0, 0.25, 1.0], abs=0.05)


def test_steps_have_blocks_of_their_own() -> None:
    drawn = words_of_steps([3, 3, 4], [1, 1, 1], Purpose.CHAIN_STEP, [0, 5, 5], 6)
    assert drawn[1].tolist() == words(3, 1, Purpose.CHAIN_STEP, 5 * 8, 6).tolist()
    assert len({row.tobytes() for row in drawn}) == 3
