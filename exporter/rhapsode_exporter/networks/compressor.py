"""An encoder and a decoder whose latents are rounded to whole numbers, and what these cost in bits."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.networks.vae import CHANNELS, SLOPE, Decoder

# Variance of a number that is only known rounded: that of a uniform of width 1.
ROUNDING = math.log(1.0 / 12.0)
PARTS = 3
LEAST = 1e-6


class RoundedEncoder(nn.Module):
    """Picture [B, 3, 16, 16] → mean and log-variance [B, D]; the variance is that of rounding, whatever the picture."""

    def __init__(self, width: int, latent_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(CHANNELS, width, 3, padding=1, bias=False),  # 16×16
            nn.BatchNorm2d(width),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),  # 8×8
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 3 * width, 4, stride=2, padding=1, bias=False),  # 4×4
            nn.BatchNorm2d(3 * width),
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Linear(3 * width * 16, latent_size),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log-variance)."""
        mean: Tensor = self.layers(image)
        return mean, torch.full_like(mean, ROUNDING)


class Prior(nn.Module):
    """How many bits a latent [B, D] costs: each number's own mixture of logistics, a bin of width 1 around it.

    Stands for the entropy coder while the networks learn (Ballé et al. 2017, with Salimans et al. 2017's mixture).
    """

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(latent_size, PARTS))
        self.place = nn.Parameter(torch.linspace(-2.0, 2.0, PARTS).repeat(latent_size, 1))
        self.log_scale = nn.Parameter(torch.zeros(latent_size, PARTS))

    def forward(self, latent: Tensor) -> Tensor:
        """Bits [B]."""
        from_place = latent[:, :, None] - self.place
        scale = self.log_scale.clamp_min(-4.0).exp()
        mass = torch.sigmoid((from_place + 0.5) / scale) - torch.sigmoid((from_place - 0.5) / scale)
        share = (F.softmax(self.weight, dim=1) * mass).sum(dim=2)
        return -share.clamp_min(LEAST).log2().sum(dim=1)


class Compressor(nn.Module):
    """An encoder with the decoder that reads its rounded latents, and the prior that both were trained with."""

    def __init__(self, width: int, latent_size: int) -> None:
        super().__init__()
        self.encoder = RoundedEncoder(width, latent_size)
        self.decoder = Decoder(width, latent_size)
        self.prior = Prior(latent_size)

    @torch.no_grad()
    def codes(self, images: Tensor) -> Tensor:
        """The rounded latents [N, D] of pictures [N, 3, 16, 16], whole numbers."""
        mean: Tensor = self.encoder(images)[0]
        return mean.round()

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """The pictures [N, 3, 16, 16] of codes [N, D]."""
        images: Tensor = self.decoder(codes)
        return images


def rounded(mean: Tensor) -> Tensor:
    """The nearest whole numbers, with the gradient of the numbers themselves (Theis et al. 2017)."""
    return mean + (mean.round() - mean).detach()
