"""The two players of an adversarial game, each trained while the other is frozen."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.loops.losses import LOSSES, NONSATURATING, gradient_penalty, zero_centred_penalty
from rhapsode_exporter.run.chance import Chance

Augment = Callable[[Tensor, Chance], Tensor]


@runtime_checkable
class Classifying(Protocol):
    """A critic that has a score for every class of real pictures; the highest is its realness."""

    def scores(self, image: Tensor, /) -> Tensor:
        """Logits [N, classes]."""
        ...


@runtime_checkable
class DrawingClasses(Protocol):
    """A generator that draws a picture of the class [N] that it is asked for beside the latent."""

    @property
    def classes(self) -> int:
        """How many classes there are to ask for."""
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
    # What is played for, a name in LOSSES.
    loss: str = NONSATURATING
    # Weight of the penalty on the critic's slope at real pictures (R1), for critics that nothing else bounds.
    slope_penalty: float = 0.0
    # Weight of drawing what the critic takes for the class that was asked for (AC-GAN, Odena et al. 2017).
    naming: float = 0.0
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

    @property
    def asked(self) -> int:
        """How many classes the generator can be asked for; 0 where it draws what it likes."""
        return self.generator.classes if isinstance(self.generator, DrawingClasses) else 0

    def generate(self, count: int, chance: Chance, classes: Tensor | None = None) -> Tensor:
        """Pictures [count, C, H, W] from the prior; of `classes` [count], by default random ones, where it has any."""
        inputs = [chance.normal(count, self.settings.latent_size)]
        if self.asked:
            inputs.append(chance.rows(self.asked, count) if classes is None else classes)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            images: Tensor = self.generator(*inputs)
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
        """What the critic loses at telling real from fake pictures, by default mean binary cross-entropy in nats.

        With the classes [N] of the real ones, plus the mean cross-entropy of naming these; where the generator draws
        classes too, `fake` are of the same, and every picture is judged as one of its class.
        """
        return self._told_apart(self.augment(real, chance), self.augment(fake, chance), labels)

    def generator_loss(self, count: int, chance: Chance) -> Tensor:
        """What the generator loses at passing for real, by default −log D(G(z)), the mean in nats.

        Where it draws classes, as pictures of these, and `naming` times the mean cross-entropy of their being named so.
        """
        play = LOSSES[self.settings.loss].generator
        if not self.asked:
            return play(self.judge(self.augment(self.generate(count, chance), chance)))
        classes = chance.rows(self.asked, count)
        scores = self.classify(self.augment(self.generate(count, chance, classes), chance))
        return play(_of_class(scores, classes)) + self.settings.naming * F.cross_entropy(scores, classes)

    def train_critic(
        self, real: Tensor, chance: Chance, fake: Tensor | None = None, labels: Tensor | None = None
    ) -> float:
        """One step of the critic alone on real pictures and as many fakes, by default new ones; its loss."""
        with frozen(self.generator):
            made = (self.generate(len(real), chance, labels) if fake is None else fake).detach()
            shown, made = self.augment(real, chance), self.augment(made, chance)
            loss = self._told_apart(shown, made, labels) + self._penalty(shown, made, chance)
            return _step(self._learns_criticising, loss)

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

    def _told_apart(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Tensor:
        """The critic's loss at pictures as it is shown them."""
        play, label = LOSSES[self.settings.loss].critic, self.settings.real_label
        if labels is None:
            return play(self.judge(real), self.judge(fake), label)
        scores = self.classify(real)
        lesson = F.cross_entropy(scores, labels)
        if not self.asked:
            return play(scores.amax(dim=1), self.judge(fake), label) + lesson
        return play(_of_class(scores, labels), _of_class(self.classify(fake), labels), label) + lesson

    def _penalty(self, real: Tensor, fake: Tensor, chance: Chance) -> Tensor:
        """What the critic's steepness costs it; computed in full precision, as it is differentiated twice."""
        weight, loss = LOSSES[self.settings.loss].penalty, torch.zeros(())
        with _kept(self.critic):
            if weight:
                share = torch.rand(len(real), generator=chance.generator)
                loss = loss + weight * gradient_penalty(self.critic, real, fake, share)
            if self.settings.slope_penalty:
                loss = loss + self.settings.slope_penalty * zero_centred_penalty(self.critic, real)
        return loss

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
    for network in networks:
        network.requires_grad_(requires_grad=False)
    try:
        with _kept(*networks):
            yield
    finally:
        for network in networks:
            network.requires_grad_(requires_grad=True)


@contextmanager
def _kept(*networks: nn.Module) -> Iterator[None]:
    """A context after which these networks' moving statistics are what they were."""
    buffers = [(buffer, buffer.clone()) for network in networks for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, before in buffers:
            buffer.copy_(before)


def _of_class(scores: Tensor, classes: Tensor) -> Tensor:
    """The score [N] of its own class [N] for each row of scores [N, classes]."""
    return scores.gather(1, classes[:, None]).squeeze(1)


def _adam(network: nn.Module, rate: float, settings: PlayerSettings) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=settings.betas, fused=True)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    optimiser.step()
    return loss.item()
