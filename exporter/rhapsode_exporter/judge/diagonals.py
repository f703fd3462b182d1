"""The share of pictures that show a left diagonal, by an exact rule."""

import torch
from torch import Tensor

THRESHOLD = 0.5


def is_left_diagonal(pictures: Tensor) -> Tensor:
    """Truth values [N] for pictures [N, 1, S, S]: all pixels of the left diagonal are above 0.5, no other is."""
    bright = pictures[:, 0] > THRESHOLD
    wanted = torch.eye(bright.shape[-1], dtype=torch.bool, device=bright.device)
    return (bright == wanted).flatten(1).all(dim=1)


def share_of_left_diagonals(pictures: Tensor) -> float:
    """The share, in [0, 1], of the pictures [N, 1, S, S] that are left diagonals."""
    return float(is_left_diagonal(pictures).double().mean())
