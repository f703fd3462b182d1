"""A small classifier of digits, the judge of generated ones."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.data.digits import CLASSES, SIDE, Digits
from rhapsode_exporter.loops.augment import shift
from rhapsode_exporter.run.chance import Chance

BATCH = 128
RATE = 3e-3
REACH = 2
CONFIDENT = 0.9


class Classifier(nn.Module):
    """Picture [B, 1, 28, 28] in [0, 1] → logits [B, 10]; other pictures and outputs where they are asked for."""

    def __init__(self, width: int = 16, channels: int = 1, side: int = SIDE, outputs: int = CLASSES) -> None:
        super().__init__()
        self.seen = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2, bias=False),  # 14×14
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),  # 7×7
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False),  # 4×4
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )
        self.named = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(4 * width * (-(-side // 8)) ** 2, outputs))

    def forward(self, image: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.named(self.seen(image))
        return logits

    def features(self, image: Tensor) -> Tensor:
        """What the last convolution saw, averaged over the picture as Inception's features are: [B, 4 × width]."""
        maps: Tensor = self.seen(image)
        return maps.mean(dim=(2, 3))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the classifier says of a set of pictures."""

    # Share of the set that went to each class, [10], and of those judged with more than CONFIDENT probability.
    shares: tuple[float, ...]
    confident: float


def as_input(digits: Digits) -> Tensor:
    """Real digits as the classifier takes them: [N, 1, 28, 28] in [0, 1]."""
    return torch.from_numpy(digits.images.astype(np.float32) / 255.0)[:, None]


def train_classifier(digits: Digits, epochs: int, seed: int) -> Classifier:
    """A classifier taught by real digits, shifted at random; in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _train(as_input(digits), torch.from_numpy(digits.labels), epochs, Chance(seed))


def accuracy(classifier: Classifier, digits: Digits) -> float:
    """The share of digits that the classifier names rightly."""
    named = probabilities(classifier, as_input(digits)).argmax(dim=1)
    return float((named == torch.from_numpy(digits.labels)).double().mean())


def judge(classifier: Classifier, images: Tensor) -> Verdict:
    """How pictures [N, 1, 28, 28] in [0, 1] spread over the classes, and how sure the classifier is of them."""
    likely, named = probabilities(classifier, images).max(dim=1)
    counts = torch.bincount(named, minlength=CLASSES)
    return Verdict(
        shares=tuple(float(count) / len(images) for count in counts),
        confident=float((likely > CONFIDENT).double().mean()),
    )


@torch.no_grad()
def probabilities(classifier: Classifier, images: Tensor) -> Tensor:
    """Class probabilities [N, 10] of pictures [N, 1, 28, 28] in [0, 1]."""
    return torch.cat([F.softmax(classifier(part), dim=1) for part in torch.split(images, 1000)])


@torch.no_grad()
def features(classifier: Classifier, images: Tensor) -> Tensor:
    """The features [N, D] of pictures, in which sets of them are compared."""
    return torch.cat([classifier.features(part) for part in torch.split(images, 1000)])


def _train(images: Tensor, labels: Tensor, epochs: int, chance: Chance) -> Classifier:
    classifier = Classifier()
    steps = epochs * (len(images) // BATCH)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(steps):
        rows = chance.rows(len(images), BATCH)
        loss = F.cross_entropy(classifier(shift(images[rows], chance, REACH, background=0.0)), labels[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        schedule.step()
    return classifier.eval()
