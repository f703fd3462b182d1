"""Every figure of a set of pictures gives what is known beforehand."""

import math

import numpy as np
import pytest

from rhapsode_exporter.judge import independent_pixels
from rhapsode_exporter.judge.auroc import auroc
from rhapsode_exporter.judge.bound import divergence, log_density, lower_bound
from rhapsode_exporter.judge.coverage import class_shares, covered, largest_gap
from rhapsode_exporter.judge.frechet import distance_of_normals, frechet_distance
from rhapsode_exporter.judge.fresh_critic import Pair, fresh_critic_accuracy
from rhapsode_exporter.judge.neighbours import nearest, radii
from rhapsode_exporter.judge.novelty import novelty
from rhapsode_exporter.judge.precision_recall import precision_recall, share_inside

CHANCE = np.random.default_rng(7)


def cloud(count: int, size: int = 4, centre: float = 0.0) -> np.ndarray:
    return np.random.default_rng(count).normal(centre, 1.0, (count, size))


def test_the_distance_of_known_normals() -> None:
    # One dimension: (m - m')² + (s - s')².
    assert distance_of_normals(np.array([1.0]), np.array(4.0), np.array([4.0]), np.array(25.0)) == pytest.approx(18.0)
    # Covariances that commute: the same in each direction.
    mean, other = np.zeros(3), np.array([1.0, 2.0, 2.0])
    wide, narrow = np.diag([9.0, 4.0, 1.0]), np.diag([1.0, 1.0, 1.0])
    assert distance_of_normals(mean, wide, other, narrow) == pytest.approx(9.0 + 4.0 + 1.0 + 0.0)
    # Turning both turns nothing.
    turn = np.linalg.qr(CHANCE.normal(size=(3, 3)))[0]
    turned = distance_of_normals(turn @ mean, turn @ wide @ turn.T, turn @ other, turn @ narrow @ turn.T)
    assert turned == pytest.approx(14.0)


def test_covariances_that_do_not_commute() -> None:
    one, other = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[3.0, 0.0], [0.0, 1.0]])
    # tr (C C')^½ of two dimensions is (tr C C' + 2 (det C C')^½)^½.
    shared = math.sqrt(np.trace(one @ other) + 2 * math.sqrt(np.linalg.det(one @ other)))
    assert distance_of_normals(np.zeros(2), one, np.zeros(2), other) == pytest.approx(8.0 - 2 * shared)


def test_the_distance_of_sets() -> None:
    points = cloud(500)
    assert frechet_distance(points, points) == pytest.approx(0.0, abs=1e-9)
    assert frechet_distance(points + 3.0, points) == pytest.approx(4 * 9.0)
    assert frechet_distance(2.0 * (points - points.mean(axis=0)), points - points.mean(axis=0)) == pytest.approx(
        np.trace(np.cov(points, rowvar=False))
    )
    # Fewer points than dimensions.
    assert frechet_distance(cloud(5, 20), cloud(5, 20)) == pytest.approx(0.0, abs=1e-6)


def test_distances_to_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rhapsode_exporter.judge.neighbours.BLOCK", 2)
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert nearest(np.array([[2.5], [10.0], [-1.0]]), line) == pytest.approx([0.5, 3.0, 1.0])
    assert radii(line, 1) == pytest.approx([1.0, 1.0, 2.0, 4.0])
    assert radii(line, 3) == pytest.approx([7.0, 6.0, 4.0, 7.0])
    with pytest.raises(ValueError, match="4 points have no 4-th"):
        radii(line, 4)


def test_precision_and_recall_of_known_sets() -> None:
    points = cloud(60)
    same = precision_recall(points, points)
    assert (same.precision, same.recall) == (1.0, 1.0)
    apart = precision_recall(points, points + 100.0)
    assert (apart.precision, apart.recall) == (0.0, 0.0)


def test_a_collapsed_generator_is_precise_and_recalls_little() -> None:
    real = np.concatenate((cloud(60), cloud(60) + 100.0))
    collapsed = np.concatenate((cloud(60), cloud(60)))
    found = precision_recall(collapsed, real)
    assert found.precision == 1.0
    assert found.recall == pytest.approx(0.5)
    line = np.array([[0.0], [1.0], [10.0]])  # whose balls reach from -1 to 1, from 0 to 2, from 1 to 19
    assert share_inside(np.array([[-0.5], [18.0], [-1.5], [19.5]]), line, 1) == pytest.approx(0.5)


def test_classes_that_are_covered() -> None:
    shares = class_shares(np.array([0] * 97 + [1] * 1 + [3] * 2, np.int64), 4)
    assert shares.tolist() == [0.97, 0.01, 0.0, 0.02]
    assert covered(shares) == 1
    assert covered(np.array([0.05, 0.04, 0.91, 0.0])) == 2  # an even share is 0.25, a fifth of it 0.05
    assert largest_gap(np.array([0.5, 0.1]), np.array([0.4, 0.4])) == pytest.approx(0.3)


def test_copies_are_no_news() -> None:
    training, held_out = cloud(300), cloud(200)
    assert novelty(training[:50], training, held_out).ratio == pytest.approx(0.0, abs=1e-6)
    assert novelty(training[:50], training, held_out).copies == 1.0
    news = novelty(held_out, training, held_out)
    assert news.ratio == pytest.approx(1.0)
    assert news.copies == pytest.approx(0.01)
    assert novelty(held_out + 9.0, training, held_out).ratio > 2


def test_the_area_under_the_curve() -> None:
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 0.0
    assert auroc(np.ones(5), np.ones(7)) == 0.5
    anomalies, usual = CHANCE.normal(0.5, 1, 80).round(1), CHANCE.normal(0, 1, 90).round(1)
    by_pairs = [(a > u) + 0.5 * (a == u) for a in anomalies for u in usual]
    assert auroc(anomalies, usual) == pytest.approx(np.mean(by_pairs))


def test_the_bound_of_a_model_that_is_known() -> None:
    pictures = np.zeros((3, 1, 2, 2), np.float32)
    means = pictures + np.float32(0.5)
    assert log_density(pictures, means, 0.25) == pytest.approx([4 * (-math.log(0.25 * math.sqrt(2 * math.pi)) - 2)] * 3)
    mean, log_variance = np.array([[1.0, 2.0]], np.float32), np.log(np.array([[1.0, 4.0]], np.float32))
    assert divergence(mean, log_variance) == pytest.approx([0.5 * (1 + 4 + 4 - 1 - math.log(4))])


def test_the_bound_is_tight_at_the_true_posterior() -> None:
    # z standard normal, x = z + normal of deviation s: the posterior is normal, and the bound is the log-density of x.
    deviation, x = 0.5, np.full((1, 1), 0.8, np.float32)
    variance = deviation**2 / (1 + deviation**2)
    mean, log_variance = x / (1 + deviation**2), np.full((1, 1), math.log(variance), np.float32)
    draws = mean + math.sqrt(variance) * CHANCE.standard_normal((200_000, 1), dtype=np.float32)
    rows = [np.broadcast_to(each, draws.shape) for each in (x, mean, log_variance)]
    found = lower_bound(rows[0], draws, rows[1], rows[2], deviation).mean()
    total = 1 + deviation**2
    assert found == pytest.approx(-0.5 * 0.8**2 / total - 0.5 * math.log(2 * math.pi * total), abs=0.01)


def test_independent_pixels_keep_what_each_pixel_does() -> None:
    images = CHANCE.random((400, 3, 4, 4)).astype(np.float32)
    labels = np.arange(400) % 2
    images[labels == 1] += 5
    made = independent_pixels.draw(images, labels, 1001, seed=1)
    assert made.shape == (1001, 3, 4, 4)
    assert (made[1::2] >= 5).all()
    assert (made[::2] < 5).all()
    assert made[::2].mean(axis=0) == pytest.approx(images[::2].mean(axis=0), abs=0.08)
    # The colours of a pixel stay together, pixels do not.
    known = {colours.tobytes() for colours in images[::2, :, 1, 2]}
    assert {colours.tobytes() for colours in made[::2, :, 1, 2]} <= known
    whole = {picture.tobytes() for picture in images}
    assert not any(picture.tobytes() in whole for picture in made)
    assert np.array_equal(made, independent_pixels.draw(images, labels, 1001, seed=1))


def test_independent_grey_pixels_are_black_or_white() -> None:
    images = np.zeros((10, 1, 1, 3), np.float32)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = 1.0, 0.25
    made = independent_pixels.draw(images, None, 4000, seed=1)
    assert set(np.unique(made)) == {0.0, 1.0}
    assert made.mean(axis=(0, 1, 2)) == pytest.approx([1.0, 0.25, 0.0], abs=0.03)


def noise(count: int, level: float) -> np.ndarray:
    pictures = np.random.default_rng(count).random((count, 1, 8, 8), dtype=np.float32)
    return (0.5 * pictures + level).astype(np.float32)


def test_a_fresh_critic_tells_what_differs_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rhapsode_exporter.judge.fresh_critic.STEPS", 40)
    training, held_out = Pair(noise(300, 0.0), noise(301, 0.3)), Pair(noise(200, 0.0), noise(201, 0.3))
    assert fresh_critic_accuracy(training, held_out, seed=0) > 0.95
    alike = fresh_critic_accuracy(Pair(noise(300, 0.0), noise(301, 0.0)), Pair(noise(400, 0.0), noise(401, 0.0)), 0)
    assert alike == pytest.approx(0.5, abs=0.08)
    assert alike == fresh_critic_accuracy(
        Pair(noise(300, 0.0), noise(301, 0.0)), Pair(noise(400, 0.0), noise(401, 0.0)), 0
    )
