"""A direction fitted through the decoder does what its pairs show, where their mean difference falls short."""

import torch
from torch import Tensor, nn

from rhapsode_exporter.loops.directions import Side, fit_direction, mean_change
from rhapsode_exporter.networks.vae import Autoencoder


class Lamps(nn.Module):
    """Latent [B, 2] → two grey stripes [B, 3, 8, 8] that saturate: one for each number."""

    def forward(self, latent: Tensor) -> Tensor:
        bright = torch.sigmoid(4.0 * latent)
        return bright[:, None, :, None].expand(-1, 3, -1, 8).repeat_interleave(4, dim=2)


def sides() -> tuple[Autoencoder, Side, Side]:
    """Pairs whose first lamp is off and on, but whose latents tell of it only faintly."""
    network = Autoencoder(4, 2)
    network.decoder = Lamps()  # type: ignore[assignment]  # a decoder by its behaviour
    second = torch.randn(200, generator=torch.Generator().manual_seed(0))
    absent = torch.stack([torch.full((200,), -0.4), second], dim=1)
    present = torch.stack([torch.full((200,), 0.1), second], dim=1)
    off, on = absent.clone(), present.clone()
    off[:, 0], on[:, 0] = -1.0, 1.0
    return network, Side(network.decode(off), absent), Side(network.decode(on), present)


def error(network: Autoencoder, absent: Side, present: Side, move: Tensor) -> float:
    return float((network.decode(absent.latents + move) - present.pictures).square().mean())


def test_the_fit_shows_more_and_leaves_the_rest_alone() -> None:
    network, absent, present = sides()
    mean, fitted = mean_change(absent, present), fit_direction(network, absent, present, steps=100)
    assert torch.allclose(mean, torch.tensor([0.5, 0.0]), atol=1e-6)
    assert error(network, absent, present, fitted) < 0.2 * error(network, absent, present, mean)
    assert fitted[0] > 1.0
    assert abs(float(fitted[1])) < 0.05


def test_the_same_pairs_give_the_same_direction() -> None:
    assert torch.equal(fit_direction(*sides(), steps=5), fit_direction(*sides(), steps=5))
