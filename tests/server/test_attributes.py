"""Moves in latent space are plain sums, and a fitted direction is the difference of two means."""

import numpy as np
import pytest

from rhapsode_server.models.attributes import Move, fit, moved, reach

ROWS = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
ONE, TWO = Move(ROWS[1], 1.3), Move(ROWS[2], -40.0)


def test_moves_are_made_one_after_another_in_single_precision() -> None:
    first = ROWS[0] + np.float32(1.3) * ROWS[1]
    expected = first + np.float32(-40.0) * ROWS[2]
    result = moved(ROWS[0], [ONE, TWO])
    assert result.dtype == np.float32
    assert result.tobytes() == expected.tobytes()


def test_no_move_leaves_a_latent_as_it_is_and_no_latent_is_changed_in_place() -> None:
    before = ROWS[0].copy()
    assert np.array_equal(moved(ROWS[0], []), before)
    moved(ROWS[0], [ONE])
    assert np.array_equal(ROWS[0], before)


def test_a_number_moves_the_same_alone_and_among_others() -> None:
    whole = moved(ROWS[0], [ONE, TWO])
    for place in range(5):
        part = slice(place, place + 1)
        alone = moved(ROWS[0][part], [Move(ROWS[1][part], 1.3), Move(ROWS[2][part], -40.0)])
        assert alone.tobytes() == whole[part].tobytes()


def test_the_reach_is_the_furthest_that_moves_go_together() -> None:
    assert reach([]) == 0.0
    assert reach([TWO, Move(ROWS[2], 40.0)]) == pytest.approx(0.0, abs=1e-5)
    assert reach([TWO]) == pytest.approx(40.0 * float(np.abs(ROWS[2]).max()), rel=1e-6)


def test_a_direction_leads_from_one_mean_to_the_other() -> None:
    found = fit(list(ROWS[:4]), list(ROWS[4:]))
    difference = ROWS[:4].astype(np.float64).mean(axis=0) - ROWS[4:].astype(np.float64).mean(axis=0)
    assert found.vector.dtype == np.float32
    np.testing.assert_allclose(found.vector, difference, rtol=1e-6)


def test_one_picture_of_each_is_enough() -> None:
    found = fit([ROWS[0]], [ROWS[1]])
    np.testing.assert_allclose(found.vector, ROWS[0].astype(np.float64) - ROWS[1], rtol=1e-6)
    assert found.separation == 1.0


def test_the_separation_counts_the_pairs_in_order_and_half_of_the_ties() -> None:
    present = [np.array([value], np.float32) for value in (3, 5, 1)]
    absent = [np.array([value], np.float32) for value in (1, 2)]
    # The direction is positive: 3 > 1, 3 > 2, 5 > 1, 5 > 2, 1 = 1, 1 < 2.
    assert fit(present, absent).separation == pytest.approx(4.5 / 6)
    assert fit(absent, absent).separation == 0.5
