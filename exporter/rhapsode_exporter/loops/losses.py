"""The losses of adversarial games by name, as values of how real the critic finds real and generated pictures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class GameLoss:
    """What either player makes as small as it can; both are means over realness [N].

    `critic(real, fake, label)` takes `label`, what the critic is told a real picture's probability is (one-sided
    smoothing, Salimans et al. 2016); losses that speak of no probability leave it alone.
    """

    critic: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor], Tensor]
    # Weight of the gradient penalty, without which the critic of this game knows no bounds.
    penalty: float = 0.0
    # The realness above which a picture passes; None where only differences of realness mean anything.
    passes: float | None = 0.0


def cross_entropy(real: Tensor, fake: Tensor, label: float) -> Tensor:
    """Mean binary cross-entropy in nats of telling real from fake (Goodfellow et al. 2014)."""
    told_real = F.binary_cross_entropy_with_logits(real, torch.full_like(real, label))
    return 0.5 * (told_real + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))


def minimax(fake: Tensor) -> Tensor:
    """log(1 − D(G(z))), what the critic loses, won: its gradient vanishes where the critic is sure."""
    return -F.softplus(fake).mean()


def nonsaturating(fake: Tensor) -> Tensor:
    """−log D(G(z)), whose gradient does not vanish where the critic is sure (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake).mean()


def critic_least_squares(real: Tensor, fake: Tensor, label: float) -> Tensor:
    """Half the mean squared distance from 1 and from 0 (Mao et al. 2017, with a = 0 and b = 1)."""
    del label
    return 0.5 * ((real - 1.0).square().mean() + fake.square().mean())


def least_squares(fake: Tensor) -> Tensor:
    """Half the mean squared distance from 1, what a real picture should get (Mao et al. 2017, with c = 1)."""
    return 0.5 * (fake - 1.0).square().mean()


def critic_hinge(real: Tensor, fake: Tensor, label: float) -> Tensor:
    """How far real pictures fall short of 1 and fake ones exceed −1 (Lim & Ye 2017; Miyato et al. 2018)."""
    del label
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


def critic_wasserstein(real: Tensor, fake: Tensor, label: float) -> Tensor:
    """The negative distance of the means, the earth mover's where the critic is 1-Lipschitz (Arjovsky et al. 2017)."""
    del label
    return fake.mean() - real.mean()


def raised(fake: Tensor) -> Tensor:
    """The negative mean: what the generator of hinge and Wasserstein games lowers."""
    return -fake.mean()


MINIMAX, NONSATURATING, LEAST_SQUARES, HINGE, WASSERSTEIN = (
    "minimax",
    "nonsaturating",
    "least-squares",
    "hinge",
    "wasserstein",
)
LOSSES: Mapping[str, GameLoss] = MappingProxyType(
    {
        NONSATURATING: GameLoss(cross_entropy, nonsaturating),
        MINIMAX: GameLoss(cross_entropy, minimax),
        LEAST_SQUARES: GameLoss(critic_least_squares, least_squares, passes=0.5),
        HINGE: GameLoss(critic_hinge, raised),
        WASSERSTEIN: GameLoss(critic_wasserstein, raised, penalty=10.0, passes=None),
    }
)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor) -> Tensor:
    """Mean squared distance from 1 of the critic's slope between real and fake pictures (Gulrajani et al. 2017).

    `critic` gives the realness [N] of pictures [N, …]; `share` [N] in [0, 1] says where between the pair each is taken.
    """
    weight = share.view(-1, *(1 for _ in real.shape[1:]))
    between = torch.lerp(fake.detach(), real.detach(), weight)
    return (_slopes(critic, between) - 1.0).square().mean()


def zero_centred_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Half the mean squared slope of the critic at real pictures, R1 (Mescheder et al. 2018)."""
    return 0.5 * _slopes(critic, real.detach()).square().mean()


def _slopes(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The length [N] of the gradient of the realness of each point [N, …], itself differentiable."""
    points = points.requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
