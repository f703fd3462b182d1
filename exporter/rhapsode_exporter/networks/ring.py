"""The players of a game of points in the plane, the critic with and without an eye on the whole minibatch."""

from torch import Tensor, nn

from rhapsode_exporter.networks.minibatch import MinibatchDeviation

LATENT_SIZE = 8


class RingGenerator(nn.Module):
    """Latent [B, 8] → point [B, 2]."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(LATENT_SIZE, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
        )

    def forward(self, latent: Tensor) -> Tensor:
        """The point."""
        point: Tensor = self.layers(latent)
        return point


class RingCritic(nn.Module):
    """Point [B, 2] → realness [B]; `in_company` lets it see how much the points of a minibatch deviate."""

    def __init__(self, width: int = 64, *, in_company: bool) -> None:
        super().__init__()
        company: list[nn.Module] = [MinibatchDeviation()] if in_company else []
        self.layers = nn.Sequential(
            nn.Linear(2, width),
            nn.LeakyReLU(0.2),
            *company,
            nn.Linear(width + len(company), width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        )

    def forward(self, point: Tensor) -> Tensor:
        """The realness."""
        realness: Tensor = self.layers(point).squeeze(1)
        return realness
