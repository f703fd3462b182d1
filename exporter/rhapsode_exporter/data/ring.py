"""Eight Gaussians on a ring: the smallest data on which a generator can leave things out (Metz et al. 2017)."""

import math

import torch
from torch import Tensor

MODES = 8
RADIUS, DEVIATION = 1.0, 0.05


def centres() -> Tensor:
    """Where the modes lie, [MODES, 2]."""
    angles = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angles.cos(), angles.sin()], dim=1)


def draw(count: int, chance: torch.Generator) -> Tensor:
    """Points [count, 2], each from a mode at random."""
    modes = torch.randint(MODES, (count,), generator=chance)
    return centres()[modes] + DEVIATION * torch.randn(count, 2, generator=chance)
