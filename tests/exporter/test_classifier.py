"""The judge of digits learns, always the same, and counts rightly."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rhapsode_exporter.data.digits import Digits
from rhapsode_exporter.judge.classifier import Classifier, accuracy, as_input, judge, train_classifier
from rhapsode_exporter.judge.digits import DigitJudge


def bars(count: int) -> Digits:
    """Pictures of ten easy classes: class c is a bar c pixels right of the third column."""
    chance = np.random.default_rng(0)
    labels = np.arange(count) % 10
    images = chance.integers(0, 40, (count, 28, 28)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4:24, 4 : 6 + 2 * label] = 255
    return Digits(images, labels.astype(np.int64))


class Painter(nn.Module):
    """A generator in [-1, 1] of one and the same picture."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, latent: Tensor) -> Tensor:
        return self.picture.expand(len(latent), 1, 28, 28)


class Obedient(nn.Module):
    """A generator in [-1, 1] of the pictures that it is asked for by their number."""

    classes = 10

    def __init__(self, pictures: Tensor) -> None:
        super().__init__()
        self.pictures = pictures

    def forward(self, latent: Tensor, class_id: Tensor) -> Tensor:
        del latent
        return self.pictures[class_id]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return train_classifier(bars(640), epochs=16, seed=0)


def test_easy_classes_are_learnt(classifier: Classifier) -> None:
    assert accuracy(classifier, bars(200)) > 0.9


def test_the_same_seed_gives_the_same_judge() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    once, again = (train_classifier(bars(256), epochs=1, seed=4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), again.parameters(), strict=True))
    assert torch.equal(before, torch.get_rng_state())


def test_shares_add_up(classifier: Classifier) -> None:
    verdict = judge(classifier, as_input(bars(100)))
    assert sum(verdict.shares) == pytest.approx(1.0)
    assert 0.0 <= verdict.confident <= 1.0


def test_a_collapsed_generator_is_found_out(classifier: Classifier) -> None:
    digits = bars(100)
    umpire = DigitJudge(classifier, accuracy(classifier, digits), judge(classifier, as_input(digits)), latent_size=8)
    figures = {metric.name: metric for metric in umpire.metrics(Painter(as_input(digits)[3] * 2 - 1))}
    assert figures["rarest_digit_share"].value == 0.0
    assert figures["commonest_digit_share"].value == 1.0
    assert not figures["commonest_digit_share"].higher_is_better
    assert figures["rarest_digit_share"].baseline > 0.05
    assert figures["judge_accuracy_share"].value > 0.9


@pytest.mark.parametrize(("moved", "share"), [(0, 1.0), (1, 0.0)])
def test_it_is_told_whether_the_class_asked_for_is_drawn(classifier: Classifier, moved: int, share: float) -> None:
    digits = bars(400)
    umpire = DigitJudge(classifier, accuracy(classifier, digits), judge(classifier, as_input(digits)), 8, "bar")
    first = [int((digits.labels == (label + moved) % 10).argmax()) for label in range(10)]
    figures = {metric.name: metric for metric in umpire.metrics(Obedient(as_input(digits)[first] * 2 - 1))}
    assert figures["asked_class_share"].value == pytest.approx(share, abs=0.11)
    assert figures["rarest_bar_share"].baseline_name == "held-out real bars"
