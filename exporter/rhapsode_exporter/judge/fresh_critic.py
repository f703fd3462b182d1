"""How well a critic that never met the generator learns to tell its pictures from real ones."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rhapsode_exporter.judge.classifier import Classifier
from rhapsode_exporter.run.chance import Chance

Floats = NDArray[np.float32]

BATCH = 128
RATE = 5e-3
STEPS = 600  # twice as many tell hardly more apart


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Real and generated pictures [N, C, H, W] in [0, 1]."""

    real: Floats
    made: Floats

    def tensors(self) -> tuple[Tensor, Tensor]:
        """All pictures, the real ones first, with 1 for real and 0 for generated, [N]."""
        images = torch.from_numpy(np.concatenate((self.real, self.made)))
        return images, torch.cat((torch.ones(len(self.real)), torch.zeros(len(self.made))))


def fresh_critic_accuracy(training: Pair, held_out: Pair, seed: int) -> float:
    """The share of held-out pictures that a critic trained on others tells apart; each kind counts half.

    A classifier two-sample test (Lopez-Paz & Oquab 2017): at 0.5 nobody can tell, which is a game's equilibrium.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        critic = _train(training, Chance(seed))
    return 0.5 * (_share_real(critic, held_out.real) + 1.0 - _share_real(critic, held_out.made))


@torch.no_grad()
def _share_real(critic: Classifier, images: Floats) -> float:
    logits = torch.cat([critic(part)[:, 0] for part in torch.split(torch.from_numpy(images), 1000)])
    return float((logits > 0).double().mean())


def _train(training: Pair, chance: Chance) -> Classifier:
    images, real = training.tensors()
    _, channels, height, _ = images.shape
    critic = Classifier(channels=channels, side=height, outputs=1)
    optimiser = torch.optim.Adam(critic.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        rows = chance.rows(len(images), BATCH)
        loss = F.binary_cross_entropy_with_logits(critic(images[rows])[:, 0], real[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        schedule.step()
    return critic.eval()
