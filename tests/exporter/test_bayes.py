"""Naive Bayes counts rightly, follows Bayes' rule, and draws pixels as often as they were seen."""

import pytest
import torch

from rhapsode_exporter.judge.perceptron import perceptron_accuracy
from rhapsode_exporter.networks.bayes import BayesCritic, BayesDecoder, count_pixels, lit

PIXELS = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
LABELS = torch.tensor([0, 0, 1])


def test_counts_are_smoothed() -> None:
    table = count_pixels(PIXELS, LABELS, 2)
    assert table.flatten().tolist() == pytest.approx([3 / 4, 2 / 4, 1 / 3, 1 / 3])


def test_the_critic_follows_bayes_rule() -> None:
    table, shares = count_pixels(PIXELS, LABELS, 2), torch.tensor([2 / 3, 1 / 3])
    realness, joint = BayesCritic(table, shares)(torch.tensor([1.0, 0.4]).view(1, 1, 1, 2))  # the second one is dark
    by_hand = torch.tensor([2 / 3 * 3 / 4 * 2 / 4, 1 / 3 * 1 / 3 * 2 / 3])
    assert joint[0].exp().tolist() == pytest.approx(by_hand.tolist(), rel=1e-5)
    assert float(realness.exp()) == pytest.approx(float(by_hand.sum()), rel=1e-5)


def test_realness_is_in_deviations_from_the_training_pictures() -> None:
    images = (torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(0)) < 0.9).float()
    table = count_pixels(lit(images), torch.zeros(200, dtype=torch.int64), 1)
    realness, _ = BayesCritic(table, torch.ones(1)).standardised(images)(images)
    assert (float(realness.mean()), float(realness.std())) == pytest.approx((0.0, 1.0), abs=1e-3)


def test_pixels_are_lit_as_often_as_they_were_seen() -> None:
    decoder = BayesDecoder(torch.tensor([[0.9, 0.1, 0.5, 0.0], [0.1, 0.9, 0.5, 1.0]]), 2)
    latents = 2 * torch.rand(20_000, 4, generator=torch.Generator().manual_seed(0)) - 1
    for label, expected in ((0, [0.9, 0.1, 0.5, 0.0]), (1, [0.1, 0.9, 0.5, 1.0])):
        drawn = decoder(latents, torch.full((20_000,), label))
        assert drawn.shape == (20_000, 1, 2, 2)
        assert set(drawn.unique().tolist()) == {0.0, 1.0}
        assert drawn.mean(dim=0).flatten().tolist() == pytest.approx(expected, abs=0.015)


def test_a_perceptron_learns_and_leaves_torchs_own_chance_alone() -> None:
    inputs = torch.rand(400, 6, generator=torch.Generator().manual_seed(0))
    labels = (inputs[:, 0] > inputs[:, 1]).long()
    before = torch.get_rng_state()
    assert perceptron_accuracy(inputs[:300], labels[:300], inputs[300:], labels[300:], 60, 2) > 0.85
    assert torch.equal(torch.get_rng_state(), before)
