"""Latent space: draws by name, and the ways between two points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.models.latents import Draw, Prior, draw, draw_all, lerp, slerp, walk, walk_length

U64 = st.integers(0, 2**64 - 1)


def vector(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, dtype=np.float32)


def test_priors_have_their_moments() -> None:
    normal = draw(Draw(1, 0), 50_000, Prior.NORMAL)
    uniform = draw(Draw(1, 0), 50_000, Prior.UNIFORM)
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.std()) - 1.0) < 0.02
    assert -1.0 <= uniform.min() < -0.99 < 0.99 < uniform.max() < 1.0


@given(st.lists(st.builds(Draw, U64, U64), min_size=1, max_size=40), st.integers(1, 70), st.sampled_from(Prior))
def test_latents_drawn_together_have_the_bits_of_each_alone(names: list[Draw], size: int, prior: Prior) -> None:
    together = draw_all(names, size, prior)
    assert together.tobytes() == b"".join(draw(name, size, prior).tobytes() for name in names)


def test_the_middle_of_a_linear_way_is_the_first_plus_half_the_difference() -> None:
    a, b = draw(Draw(1, 0), 64, Prior.NORMAL), draw(Draw(2, 0), 64, Prior.NORMAL)
    assert np.array_equal(lerp(a, b, 0.5), a + (b - a) / np.float32(2))


@given(st.integers(0, 99), st.integers(0, 99), st.floats(0, 1))
def test_a_spherical_way_interpolates_lengths_and_stays_in_the_plane(first: int, second: int, t: float) -> None:
    a, b = draw(Draw(first, 0), 16, Prior.NORMAL), draw(Draw(second, 1), 16, Prior.NORMAL) * np.float32(3)
    between = slerp(a, b, t)
    expected = (1 - t) * np.linalg.norm(a) + t * np.linalg.norm(b)
    assert float(np.linalg.norm(between)) == pytest.approx(float(expected), rel=1e-4)


def test_slerp_falls_back_to_a_line_where_there_is_no_arc() -> None:
    a = vector(1, 0)
    for b in (vector(2, 0), vector(-1, 0), vector(0, 0)):
        assert np.array_equal(slerp(a, b, 0.25), lerp(a, b, 0.25))


@pytest.mark.parametrize("loop", [False, True])
def test_a_walk_visits_every_keyframe_itself(loop: bool) -> None:
    keys = [vector(0, 0), vector(4, 0), vector(4, 4)]
    points = list(walk(keys, lerp, 4, loop))
    assert len(points) == walk_length(3, 4, loop) == (12 if loop else 9)
    assert all(np.array_equal(points[4 * number], key) for number, key in enumerate(keys))
    assert np.array_equal(points[-1], vector(1, 1) if loop else keys[-1])
