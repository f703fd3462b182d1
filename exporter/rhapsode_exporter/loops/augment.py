"""Random shifts of pictures, the light augmentation that small data sets need."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rhapsode_exporter.run.chance import Chance


def shift(images: Tensor, chance: Chance, reach: int, background: float) -> Tensor:
    """Each picture of [N, C, H, W] moved by its own −reach … reach pixels along both axes; differentiable."""
    count, channels, height, width = images.shape
    padded = F.pad(images, (reach, reach, reach, reach), value=background)
    down = torch.randint(2 * reach + 1, (count, 1, 1), generator=chance.generator)
    right = torch.randint(2 * reach + 1, (count, 1, 1), generator=chance.generator)
    rows = down + torch.arange(height)[None, :, None]  # [N, H, 1]
    columns = right + torch.arange(width)[None, None, :]  # [N, 1, W]
    flat = (rows * (width + 2 * reach) + columns).flatten(1)[:, None, :].expand(-1, channels, -1)
    return padded.flatten(2).gather(2, flat).view(images.shape)
