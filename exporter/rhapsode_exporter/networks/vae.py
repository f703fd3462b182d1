"""The convolutional encoder and decoder of a variational autoencoder for 16×16 colour pictures."""

import torch
from torch import Tensor, nn

LATENT_SIZE = 64
CHANNELS = 3
SLOPE = 0.1


class Encoder(nn.Module):
    """Picture [B, 3, 16, 16] → mean and log-variance of a diagonal normal, each [B, D] (Kingma & Welling 2014)."""

    def __init__(self, width: int, latent_size: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
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
        )
        self.mean = nn.Linear(3 * width * 16, latent_size)
        self.log_variance = nn.Linear(3 * width * 16, latent_size)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, log-variance)."""
        features = self.features(image)
        return self.mean(features), self.log_variance(features)


class Decoder(nn.Module):
    """Latent [B, D] → picture [B, 3, 16, 16] in [0, 1]."""

    def __init__(self, width: int, latent_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_size, 3 * width * 16, bias=False),
            nn.Unflatten(1, (3 * width, 4, 4)),
            nn.BatchNorm2d(3 * width),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(3 * width, 2 * width, 4, stride=2, padding=1, bias=False),  # 8×8
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(SLOPE),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  # 16×16
            nn.BatchNorm2d(width),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(width, CHANNELS, 3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """The picture."""
        image: Tensor = self.layers(latent)
        return image


class Autoencoder(nn.Module):
    """An encoder with the decoder that reads its latents."""

    def __init__(self, width: int = 32, latent_size: int = LATENT_SIZE) -> None:
        super().__init__()
        self.encoder = Encoder(width, latent_size)
        self.decoder = Decoder(width, latent_size)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """The means [N, D] of the latents of pictures [N, 3, 16, 16]."""
        mean: Tensor = self.encoder(images)[0]
        return mean

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The pictures [N, 3, 16, 16] of latents [N, D]."""
        images: Tensor = self.decoder(latents)
        return images

    def reconstruct(self, images: Tensor) -> Tensor:
        """The pictures [N, 3, 16, 16] decoded from the means of their own latents."""
        return self.decode(self.encode(images))


def reparameterise(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """A draw from the normal that the encoder gave, differentiable in its parameters; noise from this generator."""
    return mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator)
