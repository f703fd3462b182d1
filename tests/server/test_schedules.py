"""Schedules: which training steps are visited, and that the numbers of a step are those of the papers."""

import numpy as np
import pytest

from rhapsode_server.models.schedules import Moment, course, visited

SIGNAL = np.cos(np.linspace(0.02, 1.55, 1000)) ** 2


@pytest.mark.parametrize("steps", [1, 2, 7, 25, 50, 333, 999, 1000])
def test_visited_steps_fall_from_the_last_and_are_evenly_spaced(steps: int) -> None:
    times = visited(1000, steps)
    assert len(times) == steps
    assert times[0] == 999
    gaps = -np.diff(times)
    assert times[-1] >= 0
    assert set(gaps.tolist()) <= {1000 // steps, -(-1000 // steps)}


def test_all_steps_can_be_visited() -> None:
    assert visited(40, 40).tolist() == list(range(39, -1, -1))


@pytest.mark.parametrize("steps", [1, 2, 25, 1000])
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_power_is_kept_at_every_step(steps: int, eta: float) -> None:
    """A step takes a picture with noise of the power 1 − ᾱ to one with 1 − ᾱ of the next time."""
    way = course(SIGNAL, steps, eta)
    times, unveil, strip, gain, keep, fresh = way.numbers.astype(np.float64).T
    now = SIGNAL[times.astype(int)]
    after = np.append(now[1:], 1.0)
    assert unveil == pytest.approx(1 / np.sqrt(now), rel=1e-6)
    assert strip == pytest.approx(np.sqrt(1 - now) / np.sqrt(now), rel=1e-6)
    assert gain + keep * np.sqrt(now) == pytest.approx(np.sqrt(after), rel=1e-5, abs=1e-6)
    assert keep**2 * (1 - now) + fresh**2 == pytest.approx(1 - after, rel=1e-4, abs=1e-6)
    assert way.draws is (eta > 0.0 and steps > 1)


def test_a_share_of_one_is_the_posterior_of_ancestral_sampling() -> None:
    """Ho et al. 2020, equation 7: the variance of a step is β (1 − ᾱ before) / (1 − ᾱ)."""
    times, *_, fresh = course(SIGNAL, 1000, 1.0).numbers.astype(np.float64).T
    now = SIGNAL[times.astype(int)]
    after = np.append(now[1:], 1.0)
    assert fresh**2 == pytest.approx((1 - now / after) * (1 - after) / (1 - now), rel=1e-5, abs=1e-9)


def test_the_last_step_gives_the_clean_picture_itself() -> None:
    numbers = course(SIGNAL, 25, 1.0).numbers[-1]
    assert numbers[3:].tolist() == [1.0, 0.0, 0.0]


def test_a_moment_has_the_numbers_of_each_row() -> None:
    short, long = course(SIGNAL, 2, 0.0), course(SIGNAL, 1000, 0.5)
    moment = Moment.of([(long, 500), (short, 1)])
    assert moment.times.tolist() == [[499.0], [499.0]]
    noisy = np.array([[0.5, -2.0], [0.5, -2.0]], np.float32)
    clean = moment.clean(noisy, np.zeros_like(noisy), -1.0, 0.25)
    assert clean.tolist() == [[0.25, -1.0], [0.25, -1.0]]
    assert moment.moved(noisy, clean)[1].tolist() == clean[1].tolist()


def test_a_course_that_goes_straight_to_the_picture_unveils_it() -> None:
    """One step of noise that is known exactly gives the picture that was hidden."""
    picture = np.linspace(-1.0, 1.0, 64, dtype=np.float32)[None]
    noise = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    signal = SIGNAL[:500]
    noisy = (np.sqrt(signal[-1]) * picture + np.sqrt(1 - signal[-1]) * noise).astype(np.float32)
    moment = Moment.of([(course(signal, 1, 0.0), 0)])
    found = moment.moved(noisy, moment.clean(noisy, noise, -1.0, 1.0))
    assert found == pytest.approx(picture, abs=1e-5)
