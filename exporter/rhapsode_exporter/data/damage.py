"""Damage done to pictures: noise and holes, for a network to mend."""

import torch
from torch import Tensor

from rhapsode_exporter.run.chance import Chance

NOISE = 0.25  # standard deviation of what is added to every pixel
HOLES, SIDE = 3, 5  # black squares punched into every picture


def damage(images: Tensor, chance: Chance) -> Tensor:
    """Pictures [N, C, H, W] in [0, 1] with normal noise, cut off at black and white, and HOLES black squares each."""
    noisy = (images + NOISE * chance.normal(*images.shape)).clamp(0.0, 1.0)
    count, _, height, width = images.shape
    for _ in range(HOLES):
        top = torch.randint(height - SIDE + 1, (count, 1, 1), generator=chance.generator)
        left = torch.randint(width - SIDE + 1, (count, 1, 1), generator=chance.generator)
        rows, columns = torch.arange(height)[None, :, None] - top, torch.arange(width)[None, None, :] - left
        hole = (rows >= 0) & (rows < SIDE) & (columns >= 0) & (columns < SIDE)
        noisy = noisy.masked_fill(hole[:, None], 0.0)
    return noisy
