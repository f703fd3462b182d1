"""The convolutional encoder and decoder of a variational autoencoder for small square colour pictures."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

LATENT_SIZE = 64
CHANNELS = 3
SIDE = 16  # of the usual picture
SMALLEST = 4  # side of the features between convolutions and latent
SLOPE = 0.1


def widths(width: int, side: int) -> list[int]:
    """Channels at every scale from full size down to 4×4: `width`, twice, three times … as many.

    Raises ValueError for a side that is not 8, 16, 32 …
    """
    scales, left = 1, side
    while left > SMALLEST and left % 2 == 0:
        scales, left = scales + 1, left // 2
    if left != SMALLEST or scales == 1:
        raise ValueError(f"the side of a picture is {2 * SMALLEST} or a doubling of it, not {side}")
    return [width * (scale + 1) for scale in range(scales)]


class Encoder(nn.Module):
    """Picture [B, 3, S, S] → mean and log-variance of a diagonal normal, each [B, D] (Kingma & Welling 2014)."""

    def __init__(self, width: int, latent_size: int, side: int = SIDE) -> None:
        super().__init__()
        sizes = widths(width, side)
        layers: list[nn.Module] = [
            nn.Conv2d(CHANNELS, width, 3, padding=1, bias=False),  # S×S
            nn.BatchNorm2d(width),
            nn.LeakyReLU(SLOPE),
        ]
        for taken, given in pairwise(sizes):  # half the side each
            layers += [
                nn.Conv2d(taken, given, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(given),
                nn.LeakyReLU(SLOPE),
            ]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.mean = nn.Linear(sizes[-1] * SMALLEST**2, latent_size)
        self.log_variance = nn.Linear(sizes[-1] * SMALLEST**2, latent_size)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log-variance)."""
        features = self.features(image)
        return self.mean(features), self.log_variance(features)


class Decoder(nn.Module):
    """Latent [B, D] → picture [B, 3, S, S] in [0, 1]."""

    def __init__(self, width: int, latent_size: int, side: int = SIDE) -> None:
        super().__init__()
        sizes = widths(width, side)[::-1]
        layers: list[nn.Module] = [
            nn.Linear(latent_size, sizes[0] * SMALLEST**2, bias=False),
            nn.Unflatten(1, (sizes[0], SMALLEST, SMALLEST)),
            nn.BatchNorm2d(sizes[0]),
            nn.LeakyReLU(SLOPE),
        ]
        for taken, given in pairwise(sizes):  # twice the side each
            layers += [
                nn.ConvTranspose2d(taken, given, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(given),
                nn.LeakyReLU(SLOPE),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, CHANNELS, 3, padding=1), nn.Sigmoid())

    def forward(self, latent: Tensor) -> Tensor:
        """The picture."""
        image: Tensor = self.layers(latent)
        return image


class Autoencoder(nn.Module):
    """An encoder with the decoder that reads its latents."""

    def __init__(self, width: int = 32, latent_size: int = LATENT_SIZE, side: int = SIDE) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent_size, side)
        self.decoder = Decoder(width, latent_size, side)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """The means [N, D] of the latents of pictures [N, 3, S, S]."""
        mean: Tensor = self.encoder(images)[0]
        return mean

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The pictures [N, 3, S, S] of latents [N, D]."""
        images: Tensor = self.decoder(latents)
        return images

    def reconstruct(self, images: Tensor) -> Tensor:
        """The pictures [N, 3, S, S] decoded from the means of their own latents."""
        return self.decode(self.encode(images))

    @torch.no_grad()
    def settle(self, images: Tensor) -> None:
        """Move latent space so that the latents of these pictures together have mean 0 and covariance 1.

        What a decoder has learnt to read is not quite the prior: a normal that is fitted to it afterwards gives better
        pictures (Ghosh et al. 2020). Here it is folded into the linear layers at both ends, so that the prior remains
        the standard normal and reconstructions remain what they were. Log-variances are shifted, each by a constant
        that makes its mean variance right.
        """
        mean, log_variance = (part.double() for part in self.encoder(images))
        centre, variance = mean.mean(dim=0), log_variance.exp().mean(dim=0)
        values, vectors = torch.linalg.eigh(torch.cov(mean.T) + variance.diag())
        out, back = (vectors @ power.diag() @ vectors.T for power in (values.sqrt(), values.rsqrt()))
        shift = (back.square() @ variance).log() - variance.log()
        last, first = self.encoder.mean, cast("nn.Linear", self.decoder.layers[0])
        last.weight.copy_(back @ last.weight.double())
        last.bias.copy_(back @ (last.bias.double() - centre))
        self.encoder.log_variance.bias.add_(shift.to(last.bias.dtype))
        opening = nn.Linear(first.in_features, first.out_features)
        opening.weight.copy_(first.weight.double() @ out)
        opening.bias.copy_(first.weight.double() @ centre)
        self.decoder.layers[0] = opening.eval()


def reparameterise(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from the normal that the encoder gave, differentiable in its parameters; noise from this generator."""
    return mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator)
