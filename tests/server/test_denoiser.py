"""Denoisers: rows at different times of different courses share runs, and none of them shows it."""

from collections.abc import Sequence

import numpy as np
import pytest

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import Outcome
from rhapsode_server.models.decoder import Picture
from rhapsode_server.models.denoiser import Canvas, Denoiser, DenoiseRow, Way
from rhapsode_server.models.latents import Draw, Prior, draw
from rhapsode_server.models.noise import Purpose, choice, words
from rhapsode_server.models.normal import normals
from rhapsode_server.models.schedules import course
from rhapsode_server.runtime.providers import Runtime, RuntimeOptions
from support import graphs

CLASSES, BATCH = 3, 16
SIGNAL = np.linspace(0.99, 0.01, 40)
CANVAS = Canvas((1, graphs.SIDE, graphs.SIDE), -1.0, 1.0)


def made(classes: int = CLASSES, nan_class: int | None = None) -> Denoiser:
    runtime = Runtime(RuntimeOptions(provider="cpu", threads=1))
    graph = graphs.denoiser(seed=1, classes=classes, nan_class=nan_class)
    return Denoiser(runtime.session(graph.SerializeToString()), CANVAS, SIGNAL, classes, BATCH)


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return made()


def row(
    index: int = 0,
    steps: int = 9,
    eta: float = 0.0,
    guidance: float = 1.0,
    class_id: int | None = 1,
    preview_every: int = 0,
    name: Draw | None = None,
) -> DenoiseRow:
    way = Way(course(SIGNAL, steps, eta), guidance, preview_every)
    return DenoiseRow(index, name or Draw(7, index), class_id, way=way)


def finish(denoiser: Denoiser, *rows: DenoiseRow) -> dict[int, list[Picture]]:
    """Step rows together until all are done: the pictures of each by its index."""
    told: dict[int, list[Picture]] = {each.index: [] for each in rows}
    left: Sequence[DenoiseRow] = rows
    while left:
        outcomes: Sequence[Outcome[Picture]] = denoiser.advance(left)
        for each, outcome in zip(left, outcomes, strict=True):
            assert outcome.error is None
            told[each.index] += outcome.events
        left = [each for each, outcome in zip(left, outcomes, strict=True) if not outcome.done]
    return told


def picture(denoiser: Denoiser, asked: DenoiseRow) -> bytes:
    return finish(denoiser, asked)[asked.index][-1].values.tobytes()


def test_a_row_gives_the_same_picture_at_any_time_beside_any_others(denoiser: Denoiser) -> None:
    def rows() -> list[DenoiseRow]:
        return [row(n, 2 + n, (0.0, 0.5, 1.0)[n % 3], (0.0, 1.0, 2.5)[n % 3], n % CLASSES) for n in range(BATCH)]

    alone = [picture(denoiser, each) for each in rows()]
    crowd = rows()
    late = crowd[5:]
    denoiser.advance(crowd[:5])  # those are a step ahead, and the batch is another one in every run
    together = finish(denoiser, *late[::-1], *[each for each in crowd[:5] if each.progress.noisy is not None])
    assert all(together[each.index][-1].values.tobytes() == alone[each.index] for each in late)
    assert len(set(alone)) == BATCH


def test_the_noise_of_a_row_is_its_latent(denoiser: Denoiser) -> None:
    named = finish(denoiser, row(3))[3][0]
    assert named.latent.tobytes() == draw(Draw(7, 3), 64, Prior.NORMAL).tobytes()
    given = DenoiseRow(0, named.latent, 1, way=Way(course(SIGNAL, 9, 0.0)))
    (again,) = finish(denoiser, given)[0]
    assert again.values.tobytes() == named.values.tobytes()
    assert again.latent.tobytes() == named.latent.tobytes()


def test_a_step_is_that_of_the_paper(denoiser: Denoiser) -> None:
    """Song et al. 2021, equation 12, in double precision, with the clean picture cut off."""
    asked = row(eta=0.5, steps=4)
    denoiser.advance([asked])
    latent = draw(Draw(7, 0), 64, Prior.NORMAL).astype(np.float64)
    feeds = {
        "image": latent.astype(np.float32).reshape(1, 1, 8, 8),
        "time": np.array([39], np.float32),
        "class_id": np.array([1]),
    }
    noise = denoiser._session.run(feeds)["noise"].reshape(-1).astype(np.float64)
    now, after = SIGNAL[39], SIGNAL[29]
    clean = np.clip((latent - np.sqrt(1 - now) * noise) / np.sqrt(now), -1, 1)
    noise = (latent - np.sqrt(now) * clean) / np.sqrt(1 - now)
    sigma = 0.5 * np.sqrt((1 - after) / (1 - now)) * np.sqrt(1 - now / after)
    drawn = normals((words(7, 0, Purpose.DIFFUSION_STEP, 0, 64).astype(np.float64) + 0.5) * 2.0**-32)
    wanted = np.sqrt(after) * clean + np.sqrt(1 - after - sigma**2) * noise + sigma * drawn
    assert asked.progress.noisy is not None
    assert asked.progress.noisy == pytest.approx(wanted, abs=1e-5)


def test_guidance_leads_away_from_the_picture_of_no_class(denoiser: Denoiser) -> None:
    unguided = picture(denoiser, row(guidance=1.0))
    assert picture(denoiser, row(guidance=1.0 + 1e-7)) != picture(denoiser, row(guidance=3.0)) != unguided
    free = picture(denoiser, row(guidance=0.0, class_id=0))
    assert free == picture(denoiser, row(guidance=0.0, class_id=2)) != unguided


def test_more_guided_rows_than_fit_a_run_take_several(denoiser: Denoiser) -> None:
    together = finish(denoiser, *[row(n, guidance=2.0) for n in range(BATCH)])
    assert together[11][0].values.tobytes() == picture(denoiser, row(11, guidance=2.0))


def test_previews_show_the_clean_picture_on_the_way_and_change_nothing(denoiser: Denoiser) -> None:
    told = finish(denoiser, row(steps=9, preview_every=3))[0]
    assert [each.steps_taken for each in told] == [3, 6, None]
    assert told[-1].values.tobytes() == picture(denoiser, row(steps=9))
    assert all(np.abs(each.values).max() <= 1.0 for each in told)
    assert not np.array_equal(told[0].values, told[1].values)


def test_a_class_is_drawn_with_the_rows_noise_unless_it_is_given(denoiser: Denoiser) -> None:
    drawn = choice(5, 2, CLASSES)
    found = [picture(denoiser, row(class_id=given, name=Draw(5, 2))) for given in (None, *range(CLASSES))]
    assert found[0] == found[1 + drawn]
    assert len(set(found)) == CLASSES


def test_fresh_noise_differs_from_step_to_step_and_row_to_row() -> None:
    denoiser = made(classes=0)
    rows = [row(index, 40, eta=1.0, class_id=None) for index in range(2)]
    fresh = []
    for taken in range(2):
        plain = [row(each.index, 40, class_id=None) for each in rows]
        for each, other in zip(rows, plain, strict=True):
            other.progress.noisy, other.progress.taken = each.progress.noisy, taken
        denoiser.advance([*rows, *plain])
        fresh += [_apart(each, other) for each, other in zip(rows, plain, strict=True)]
    assert np.abs(np.corrcoef(fresh) - np.eye(4)).max() < 0.5


def _apart(one: DenoiseRow, other: DenoiseRow) -> np.ndarray:
    assert one.progress.noisy is not None
    assert other.progress.noisy is not None
    return one.progress.noisy - other.progress.noisy


def test_a_row_without_finite_noise_ends_alone() -> None:
    denoiser = made(nan_class=2)
    good, bad = row(0), row(1, class_id=2)
    outcomes = denoiser.advance([good, bad])
    assert isinstance(outcomes[1].error, NonFiniteOutput)
    assert outcomes[1].done
    assert outcomes[0] == Outcome()
    assert picture(denoiser, good) == picture(denoiser, row(0))
