"""Solids are what their factors say, and a probe finds in latents what is there."""

import numpy as np
import pytest
import torch

from rhapsode_exporter.data import shapes
from rhapsode_exporter.data.shapes import FACTORS, RANGES
from rhapsode_exporter.judge.probes import fit_probe, r_squared

CYLINDER, CONE = (0.0, 16.0, 6.0, 0.0, 120.0), (1.0, 16.0, 6.0, 0.0, 120.0)


def drawn(*factors: tuple[float, ...]) -> np.ndarray:
    return shapes.render(np.array(factors, np.float32))


def covered(picture: np.ndarray) -> np.ndarray:
    """Pixels that the solid covers for the most part."""
    return np.asarray(picture.max(axis=2) > 60)


def test_the_same_seed_gives_the_same_solids() -> None:
    one, other = shapes.draw(300, 5), shapes.draw(300, 5)
    assert np.array_equal(one.images, other.images)
    assert one.images.shape == (300, 32, 32, 3)
    assert not np.array_equal(one.images, shapes.draw(300, 6).images)


def test_factors_fill_their_ranges_and_do_not_hang_together() -> None:
    factors = shapes.draw(1000, 0).factors
    for column, (low, high) in enumerate(RANGES):
        assert low <= factors[:, column].min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < factors[:, column].max() <= high
    assert set(factors[:, 0]) == {0.0, 1.0}
    correlation = np.corrcoef(factors.T) - np.eye(len(FACTORS))
    assert np.abs(correlation).max() < 0.1


def test_a_solid_is_as_high_and_as_thick_as_it_should_be() -> None:
    (picture,) = drawn(CYLINDER)
    rows, columns = covered(picture).any(axis=1).sum(), covered(picture).any(axis=0).sum()
    assert columns == 12
    assert rows == pytest.approx(16 + 2 * 0.3 * 6, abs=1)  # both ends show as ellipses


def test_a_cone_has_a_point_and_covers_less() -> None:
    cylinder, cone = (covered(picture) for picture in drawn(CYLINDER, CONE))
    assert cone.sum() < 0.7 * cylinder.sum()
    assert cone[8:10].any(axis=0).sum() <= 2


def test_a_lean_to_the_right_is_the_mirror_of_one_to_the_left() -> None:
    left, right = (covered(picture) for picture in drawn((0, 20, 5, -40, 60), (0, 20, 5, 40, 60)))
    assert (left != right[:, ::-1]).sum() < 0.1 * left.sum()  # but for the shade of the edges
    assert np.nonzero(right[:12])[1].mean() > 16


def test_hues_go_from_red_over_green_to_blue() -> None:
    brightest = [
        picture.reshape(-1, 3).sum(axis=0).argmax() for picture in drawn(*((0, 20, 7, 0, h) for h in (0, 120, 240)))
    ]
    assert brightest == [0, 1, 2]


def test_edges_are_smooth_and_sides_are_shaded() -> None:
    (picture,) = drawn((0, 20, 7, 20, 120))
    assert len(np.unique(picture[:, :, 1])) > 40


def test_a_probe_finds_what_is_linear_and_nothing_in_noise() -> None:
    chance = torch.Generator().manual_seed(0)
    factors = torch.randn(400, 2, generator=chance)
    moves = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
    latents = factors @ moves + 0.5
    noise = torch.randn(400, 3, generator=chance)
    assert r_squared(fit_probe(latents, factors), latents, factors).min() > 0.999
    assert r_squared(fit_probe(noise[:200], factors[:200]), noise[200:], factors[200:]).max() < 0.1
