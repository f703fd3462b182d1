"""Attributes of faces: labels that show, pairs that differ in one thing, and a judge that tells edits."""

import numpy as np
import torch
from torch import Tensor, nn

from rhapsode_exporter.data import faces
from rhapsode_exporter.data.face_attributes import DESCRIPTIONS, NAMES, labels, pairs
from rhapsode_exporter.judge.attributes import balanced_accuracy, seen, success, train_judge


def test_a_beard_that_is_told_of_can_be_seen() -> None:
    drawn = faces.draw(range(120))
    shaven = faces.draw(range(120), {"beardProbability": 0})
    change = np.abs(drawn.images.astype(int) - shaven.images).max(axis=3)
    visible = (change > faces.BEARD_LEVELS).sum(axis=(1, 2))
    bearded = drawn.has("beard")
    assert visible[bearded].min() >= faces.BEARD_PIXELS
    assert visible[~bearded].max() == 0
    assert 0.35 < bearded.mean() < 0.65


def test_every_attribute_and_every_two_of_them_are_common_enough() -> None:
    found = labels(faces.draw(range(200)))
    assert found.shape == (200, len(NAMES))
    for one in range(3):
        for other in range(one):
            shares = [(found[:, one] == a) & (found[:, other] == b) for a in (True, False) for b in (True, False)]
            assert min(share.mean() for share in shares) > 0.15


def test_a_pair_differs_in_its_attribute_alone() -> None:
    places = {"glasses": slice(3, 10), "hat": slice(0, 6), "beard": slice(6, 15), "smile": slice(8, 13)}
    for name in NAMES:
        drawn = pairs(name, range(12))
        assert 4 < len(drawn.present) == len(drawn.absent) <= 12
        change = np.abs(drawn.present.astype(int) - drawn.absent).max(axis=3)
        assert (change.reshape(len(change), -1).max(axis=1) > 0).all()
        if name in places:
            rows = np.nonzero(change.max(axis=(0, 2)))[0]
            assert places[name].start <= rows.min()
            assert rows.max() < places[name].stop
    assert DESCRIPTIONS.keys() == set(NAMES)


def lamps(count: int) -> tuple[Tensor, Tensor]:
    """Pictures of two lamps, upper left and lower right, each on or off."""
    chance = torch.Generator().manual_seed(1)
    on = torch.rand(count, 2, generator=chance) < 0.5
    images = 0.2 * torch.rand(count, 3, 16, 16, generator=chance)
    images[:, :, :6, :6] += 0.7 * on[:, 0, None, None, None]
    images[:, :, 10:, 10:] += 0.7 * on[:, 1, None, None, None]
    return images, on


def test_a_judge_learns_what_is_to_be_seen() -> None:
    images, on = lamps(600)
    judge = train_judge(images[:400], on[:400], steps=40)
    assert min(balanced_accuracy(seen(judge, images[400:]), on[400:])) > 0.95
    assert balanced_accuracy(on[:, :1].logical_not(), on[:, :1]) == [0.0]


class Switches(nn.Module):
    """A judge that reads its two numbers as they are."""

    def forward(self, latents: Tensor) -> Tensor:
        return latents


def test_success_counts_each_side_apart() -> None:
    latents = torch.tensor([[-1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [3.0, -1.0]])
    labels_of = latents > 0
    clean = success(Switches(), torch.clone, latents, labels_of, 0, torch.tensor([2.0, 0.0]), range(2))
    assert (clean.added, clean.removed, clean.kept) == (1.0, 0.5, 1.0)
    entangled = success(Switches(), torch.clone, latents, labels_of, 0, torch.tensor([4.0, 3.0]), range(2))
    # Adding switches the second on for those that lacked it; taking away switches it off for those that had it.
    assert (entangled.added, entangled.removed, entangled.kept, entangled.worst) == (1.0, 1.0, 0.0, 0.0)
