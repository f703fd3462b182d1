"""Independent judges of attributes: networks that real pictures taught, and what they say of edits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.run.chance import Chance

BATCH = 128
RATE = 3e-3
# Greatest standard deviation of the noise on the pictures that it learns from: a decoder's pictures are not crisp.
NOISE = 0.05

Decode = Callable[[Tensor], Tensor]
Network = TypeVar("Network", bound=nn.Module)


class AttributeClassifier(nn.Module):
    """Picture [B, 3, 16, 16] in [0, 1] → a logit for each attribute [B, K]."""

    def __init__(self, attributes: int, width: int = 24) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False),  # 16×16
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),  # 8×8
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 3 * width, 3, stride=2, padding=1, bias=False),  # 4×4
            nn.BatchNorm2d(3 * width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(3 * width * 16, 64),
            nn.ReLU(),
            nn.Linear(64, attributes),
        )

    def forward(self, image: Tensor) -> Tensor:
        """The logits."""
        logits: Tensor = self.layers(image)
        return logits


@dataclass(frozen=True, slots=True)
class Success:
    """What an edit did to pictures, in shares, as the judge sees it.

    `added` is of pictures without the attribute, `removed` of those with it. `kept` is the least share of either that
    kept another attribute as it was, looked at apart for those that have the other one and those that have not.
    """

    added: float
    removed: float
    kept: float

    @property
    def worst(self) -> float:
        """The least of the three."""
        return min(self.added, self.removed, self.kept)


def train_judge(images: Tensor, labels: Tensor, steps: int, seed: int = 0) -> AttributeClassifier:
    """A classifier taught by real pictures [N, 3, 16, 16] with their labels [N, K]; in evaluation mode."""
    return train_on_labels(lambda: AttributeClassifier(labels.shape[1]), images, labels, steps, seed, NOISE)


def train_on_labels(
    build: Callable[[], Network], images: Tensor, labels: Tensor, steps: int, seed: int, noise: float = 0.0
) -> Network:
    """A network that gives a logit for each label, taught by pictures [N, C, S, S] with labels [N, K].

    `noise` is the greatest standard deviation of what is added to the pictures. The network is in evaluation mode.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network, chance = build(), Chance(seed)
        optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(steps):
            rows = chance.rows(len(images), BATCH)
            shown = images[rows]
            if noise:
                deviation = noise * torch.rand(BATCH, 1, 1, 1, generator=chance.generator)
                shown = shown + deviation * chance.normal(BATCH, *images.shape[1:])
            loss = F.binary_cross_entropy_with_logits(network(shown), labels[rows].float())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def seen(judge: nn.Module, images: Tensor) -> Tensor:
    """Which attributes the judge sees on pictures [N, C, S, S]: bool [N, K]."""
    return torch.cat([judge(part) > 0.0 for part in torch.split(images, 1000)])


def balanced_accuracy(found: Tensor, labels: Tensor) -> list[float]:
    """For each attribute [N, K] the mean of the shares that are right among those with and those without it."""
    right = (found == labels).double()
    return [
        (_share(right[labels[:, column], column]) + _share(right[~labels[:, column], column])) / 2.0
        for column in range(labels.shape[1])
    ]


def success(
    judge: nn.Module, decode: Decode, latents: Tensor, labels: Tensor, column: int, move: Tensor, others: range
) -> Success:
    """How well adding `move` [D] to latents [N, D], and taking it away, changes one attribute and no other.

    `labels` [N, K] are the truth about the pictures that the latents come from; `others` are the columns that are to
    stay as they are, the attribute's own left out.
    """
    has = labels[:, column]
    sides = (
        (seen(judge, decode(latents[~has] + move)), labels[~has], True),
        (seen(judge, decode(latents[has] - move)), labels[has], False),
    )
    added, removed = (_share((found[:, column] == wanted).double()) for found, _, wanted in sides)
    kept = [
        _share((found[:, other] == truth[:, other])[truth[:, other] == wearing].double())
        for found, truth, _ in sides
        for other in others
        if other != column
        for wearing in (True, False)
    ]
    return Success(added, removed, min(kept, default=1.0))


def _share(right: Tensor) -> float:
    """The mean; 1 of nothing, which cannot be wrong."""
    return float(right.double().mean()) if len(right) else 1.0
