"""Left diagonals: small grey pictures made by a program, after Serrano's "GANs in slanted land"."""

import torch
from torch import Tensor

SIDE = 6
# Brightness of a lit and of a dark pixel: mean and standard deviation, cut to [0, 1].
LIT = (0.88, 0.10)
DARK = (0.12, 0.10)


def draw(count: int, generator: torch.Generator) -> Tensor:
    """Real pictures [count, 1, SIDE, SIDE] in [0, 1]: lit from top left to bottom right, dark elsewhere."""
    noise = torch.randn(count, 1, SIDE, SIDE, generator=generator)
    lit = torch.eye(SIDE, dtype=torch.bool)
    mean = torch.where(lit, LIT[0], DARK[0])
    deviation = torch.where(lit, LIT[1], DARK[1])
    return (mean + deviation * noise).clamp(0.0, 1.0)
