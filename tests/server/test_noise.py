"""Noise: known answers, independence of what was drawn before, and the shape of its distributions."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.models.noise import (
    Purpose,
    choice,
    choices,
    philox,
    token_uniforms,
    uniforms,
    words,
    words_of_rows,
)
from rhapsode_server.models.normal import normals

U64 = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("key", "counter", "answer"),
    [  # Random123's published vectors for philox4x32-10
        ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0xA4093822, 0x299F31D0),
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_answers(
    key: tuple[int, int], counter: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    assert tuple(philox(key, np.array([counter], dtype=np.uint32))[0].tolist()) == answer


@given(seed=U64, row=U64, start=st.integers(0, 1000), count=st.integers(0, 70))
def test_any_words_can_be_drawn_without_those_before(seed: int, row: int, start: int, count: int) -> None:
    whole = words(seed, row, Purpose.TOKEN, 0, start + count)
    assert np.array_equal(words(seed, row, Purpose.TOKEN, start, count), whole[start:])


@given(names=st.lists(st.tuples(U64, U64), min_size=1, max_size=9), start=st.integers(0, 20), count=st.integers(0, 30))
def test_rows_drawn_together_have_the_words_of_each_alone(names: list[tuple[int, int]], start: int, count: int) -> None:
    seeds, rows = zip(*names, strict=True)
    for purpose in Purpose:
        together = words_of_rows(seeds, rows, purpose, start, count)
        assert together.tolist() == [words(*name, purpose, start, count).tolist() for name in names]
    assert choices(seeds, rows, 1000).tolist() == [choice(*name, 1000) for name in names]


def test_seeds_rows_and_purposes_share_nothing() -> None:
    draws = [
        words(*name, 0, 8).tobytes() for name in ((1, 0, Purpose.TOKEN), (1, 1, Purpose.TOKEN), (2, 0, Purpose.TOKEN))
    ]
    draws += [words(1, 0, Purpose.LATENT, 0, 8).tobytes(), words(1 << 32, 0, Purpose.TOKEN, 0, 8).tobytes()]
    assert len(set(draws)) == len(draws)


def test_uniforms_never_reach_zero_or_one() -> None:
    extremes = np.array([0, 2**32 - 1], dtype=np.uint32)
    coarse = ((extremes >> np.uint32(9)) + np.float64(0.5)) * 2.0**-23
    assert 0.0 < coarse.astype(np.float32)[0] < coarse.astype(np.float32)[1] < 1.0
    drawn = token_uniforms(7, 0, 0, 100_000)
    assert drawn.dtype == np.float32
    assert 0.0 < drawn.min() < 0.001 < 0.999 < drawn.max() < 1.0
    assert abs(float(drawn.mean()) - 0.5) < 0.005


def test_latent_numbers_have_known_answers() -> None:
    """For clients that make the same latents: docs/determinism.md lists these."""
    first = words(42, 3, Purpose.LATENT, 0, 4)
    assert uniforms(42, 3, 4).tolist() == [(int(word) + 0.5) / 2**32 for word in first]
    expected = [NormalDist().inv_cdf((int(word) + 0.5) / 2**32) for word in first]
    assert normals(uniforms(42, 3, 4)).tolist() == pytest.approx(expected, rel=1e-12)


@given(st.floats(2.0**-33, 1 - 2.0**-33))
def test_normals_agree_with_the_inverse_distribution_function(probability: float) -> None:
    got = float(normals(np.array([probability]))[0])
    assert math.isclose(got, NormalDist().inv_cdf(probability), rel_tol=1e-9, abs_tol=1e-12)


def test_a_number_of_a_latent_does_not_depend_on_its_length() -> None:
    assert np.array_equal(uniforms(5, 5, 7), uniforms(5, 5, 100)[:7])


def test_choices_reach_the_last_option_however_many_there_are() -> None:
    word = int(words(3, 4, Purpose.CLASS, 0, 1)[0])
    assert [choice(3, 4, options) for options in (1, 2**32)] == [0, word]


def test_choices_are_even() -> None:
    counts = np.bincount([choice(seed, 0, 10) for seed in range(5000)], minlength=10)
    assert counts.min() > 400
    assert counts.size == 10
