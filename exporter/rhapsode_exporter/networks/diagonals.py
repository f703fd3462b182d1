"""The generator and critic of a GAN small enough to learn 6×6 pictures in seconds."""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from rhapsode_exporter.data.diagonals import SIDE

LATENT_SIZE = 48
GAIN = 4.0


class DiagonalsGenerator(nn.Module):
    """Latent [B, 48] → picture [B, 1, 6, 6] in [0, 1]."""

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT_SIZE, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, SIDE * SIDE),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, SIDE, SIDE)),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """The picture."""
        image: Tensor = self.layers(latent)
        return image


class DiagonalsCritic(nn.Module):
    """Picture [B, 1, 6, 6] → realness [B], a logit; at most GAIN steep anywhere.

    Bounded by spectral normalisation (Miyato et al. 2018): a steeper critic has blind directions, into which a
    generator that trains against it alone walks away from the diagonals.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            spectral_norm(nn.Linear(SIDE * SIDE, width)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(width, 1)),
        )

    def forward(self, image: Tensor) -> Tensor:
        """The realness."""
        realness: Tensor = GAIN * self.layers(image).squeeze(1)
        return realness
