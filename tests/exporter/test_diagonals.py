"""The rule of left diagonals is exact, and the real pictures nearly always keep it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_exporter.data import diagonals
from rhapsode_exporter.judge.diagonals import is_left_diagonal, share_of_left_diagonals

PERFECT = torch.eye(6)[None, None] * 0.8 + 0.1


def test_real_pictures_are_left_diagonals() -> None:
    real = diagonals.draw(5_000, torch.Generator().manual_seed(0))
    assert real.shape == (5_000, 1, 6, 6)
    assert float(real.min()) >= 0.0
    assert float(real.max()) <= 1.0
    assert 0.99 < share_of_left_diagonals(real) < 1.0


def test_other_pictures_are_not() -> None:
    others = torch.cat([torch.zeros(1, 1, 6, 6), torch.ones(1, 1, 6, 6), PERFECT.flip(3)])
    assert not is_left_diagonal(others).any()


@given(row=st.integers(0, 5), column=st.integers(0, 5))
def test_one_wrong_pixel_is_enough(row: int, column: int) -> None:
    spoilt = PERFECT.clone()
    spoilt[0, 0, row, column] = 1.0 - spoilt[0, 0, row, column]
    assert is_left_diagonal(PERFECT).all()
    assert not is_left_diagonal(spoilt).any()


def test_the_same_seed_draws_the_same_pictures() -> None:
    once, again = (diagonals.draw(10, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(once, again)
