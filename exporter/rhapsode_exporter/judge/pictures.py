"""Figures that say how good pictures are, or the latents behind them."""

import math

import torch
from torch import Tensor


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [N] in dB of pictures [N, C, H, W] in [0, 1] against references of the same shape."""
    error = (images - references).square().flatten(1).mean(dim=1)
    return -10.0 * torch.log10(error.clamp_min(1e-10))


def mean_psnr(images: Tensor, references: Tensor) -> float:
    """Mean over pictures of each picture's own ratio in dB; stricter than the ratio of the mean error."""
    return float(psnr(images, references).mean())


def mean_length(latents: Tensor) -> float:
    """Mean Euclidean length of latents [N, D]."""
    return float(latents.norm(dim=1).mean())


def mean_normal_length(size: int) -> float:
    """Mean Euclidean length of `size` independent standard normals: that of the chi distribution."""
    return math.sqrt(2.0) * math.exp(math.lgamma((size + 1) / 2) - math.lgamma(size / 2))
