"""A small network that names what faces wear, the judge of generated ones."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rhapsode_exporter.judge.classifier import Classifier
from rhapsode_exporter.run.chance import Chance

BATCH = 128
RATE = 3e-3


def train_traits(images: Tensor, traits: Tensor, steps: int, seed: int) -> Classifier:
    """A network taught by pictures [N, C, S, S] in [0, 1] which of their traits [N, T] are there; in evaluation mode.

    Its outputs are logits [B, T], one question each.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Classifier(channels=images.shape[1], side=images.shape[2], outputs=traits.shape[1])
        optimiser, chance = torch.optim.Adam(network.parameters(), lr=RATE), Chance(seed)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
        for _ in range(steps):
            rows = chance.rows(len(images), BATCH)
            loss = F.binary_cross_entropy_with_logits(network(images[rows]), traits[rows].float())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
    return network.eval()


@torch.no_grad()
def name_traits(network: Classifier, images: Tensor) -> Tensor:
    """Which traits the network sees, truth values [N, T]."""
    return torch.cat([network(part) > 0 for part in torch.split(images, 1000)])


def balanced_accuracy(named: Tensor, traits: Tensor) -> Tensor:
    """For every trait [T] the mean of the shares named rightly among those that have it and those that have not."""
    right = (named == traits).double()
    having = traits.double()
    return 0.5 * ((right * having).sum(0) / having.sum(0) + (right * (1 - having)).sum(0) / (1 - having).sum(0))
