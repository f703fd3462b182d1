"""The two players of an adversarial game, each trained while the other is frozen."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.run.chance import Chance

Augment = Callable[[Tensor, Chance], Tensor]


@runtime_checkable
class Classifying(Protocol):
    """A critic that has a score for every class of real pictures; the highest is its realness."""

    def scores(self, image: Tensor, /) -> Tensor:
        """Logits [N, classes]."""
        ...


@dataclass(frozen=True, slots=True)
class PlayerSettings:
    """How both players learn."""

    latent_size: int
    batch: int = 64
    generator_rate: float = 2e-4
    critic_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.99)
    # What the critic is told a real picture's probability is (one-sided label smoothing, Salimans et al. 2016).
    real_label: float = 0.9
    # Weight of spreading the generator's pictures evenly over the classes that the critic knows.
    spread: float = 0.0
    bfloat16: bool = False


def as_they_are(images: Tensor, chance: Chance) -> Tensor:
    """No augmentation."""
    del chance
    return images


class Players:
    """A generator and a critic with their optimisers.

    `augment` is applied to every picture that the critic sees in training, real or generated, so that the generator
    does not learn it (Zhao et al. 2020).
    """

    def __init__(
        self, generator: nn.Module, critic: nn.Module, settings: PlayerSettings, augment: Augment = as_they_are
    ) -> None:
        # The layout that processors convolve fastest in.
        self.generator = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in the stub
        self.critic = critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = settings
        self.augment = augment
        self._learns_generating = _adam(generator, settings.generator_rate, settings)
        self._learns_criticising = _adam(critic, settings.critic_rate, settings)

    def copy(self) -> "Players":
        """Players in the same state that can be trained without touching these."""
        twin = Players(copy.deepcopy(self.generator), copy.deepcopy(self.critic), self.settings, self.augment)
        twin.load_state_dict(copy.deepcopy(self.state_dict()))
        return twin

    def generate(self, count: int, chance: Chance) -> Tensor:
        """Pictures [count, C, H, W] from the prior."""
        latents = chance.normal(count, self.settings.latent_size)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            images: Tensor = self.generator(latents)
        return images.float()

    def judge(self, images: Tensor) -> Tensor:
        """The critic's logits [N]."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            realness: Tensor = self.critic(images)
        return realness.float()

    def classify(self, images: Tensor) -> Tensor:
        """The critic's scores for every class, logits [N, classes]; TypeError where it knows none."""
        if not isinstance(self.critic, Classifying):
            raise TypeError(f"{type(self.critic).__name__} has no scores for classes, so labels teach it nothing")
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            return self.critic.scores(images).float()

    def critic_loss(self, real: Tensor, fake: Tensor, chance: Chance, labels: Tensor | None = None) -> Tensor:
        """Mean binary cross-entropy in nats of telling real from fake pictures.

        With the classes [N] of the real ones, plus the mean cross-entropy of naming these.
        """
        shown, lesson = self.augment(real, chance), torch.zeros(())
        if labels is None:
            on_real = self.judge(shown)
        else:
            scores = self.classify(shown)
            on_real, lesson = scores.amax(dim=1), F.cross_entropy(scores, labels)
        on_fake = self.judge(self.augment(fake, chance))
        told_real = F.binary_cross_entropy_with_logits(on_real, torch.full_like(on_real, self.settings.real_label))
        told_fake = F.binary_cross_entropy_with_logits(on_fake, torch.zeros_like(on_fake))
        return 0.5 * (told_real + told_fake) + lesson

    def generator_loss(self, count: int, chance: Chance) -> Tensor:
        """Mean binary cross-entropy in nats of passing for real: −log D(G(z)), the non-saturating form.

        Where `spread` is set, plus the divergence from even shares of the classes.
        """
        shown = self.augment(self.generate(count, chance), chance)
        if not self.settings.spread:
            return _as_real(self.judge(shown))
        scores = self.classify(shown)
        return _as_real(scores.amax(dim=1)) + self.settings.spread * unevenness(scores)

    def train_critic(
        self, real: Tensor, chance: Chance, fake: Tensor | None = None, labels: Tensor | None = None
    ) -> float:
        """One step of the critic alone on real pictures and as many fakes, by default new ones; its loss."""
        with frozen(self.generator):
            made = self.generate(len(real), chance) if fake is None else fake
            return _step(self._learns_criticising, self.critic_loss(real, made.detach(), chance, labels))

    def train_generator(self, chance: Chance) -> float:
        """One step of the generator alone; its loss."""
        with frozen(self.critic):
            return _step(self._learns_generating, self.generator_loss(self.settings.batch, chance))

    def state_dict(self) -> dict[str, Any]:
        """Both networks and both optimisers."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take such a state over."""
        for name, part in self._parts().items():
            part.load_state_dict(state_dict[name])

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "learns_generating": self._learns_generating,
            "learns_criticising": self._learns_criticising,
        }


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """A context that leaves these networks bit for bit as they were: no gradients, and no moving statistics kept.

    They stay in training mode, so that normalisation acts as it does in play.
    """
    buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
    for network in networks:
        network.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(requires_grad=True)
        for buffer, before in buffers:
            buffer.copy_(before)


def unevenness(scores: Tensor) -> Tensor:
    """Divergence in nats of even shares from the mean class probabilities of scores [N, classes].

    In this direction, so that a class that is never drawn keeps pulling; after Springenberg 2016, who has the entropy.
    """
    shares = F.softmax(scores, dim=1).mean(dim=0)
    return -shares.log().mean() - math.log(len(shares))


def _as_real(realness: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(realness, torch.ones_like(realness))


def _adam(network: nn.Module, rate: float, settings: PlayerSettings) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=settings.betas, fused=True)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimiser.step()
    return loss.item()
