"""A small U-Net that turns 28×28 grey pictures into others, and the critic that looks at patches of both."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2


class UNet(nn.Module):
    """Picture [B, 1, 28, 28] → picture [B, 1, 28, 28] in [0, 1] (Ronneberger et al. 2015), two halvings deep."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.at_full = _block(nn.Conv2d(1, width, 3, padding=1, bias=False), width)  # 28×28
        self.at_half = _block(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False), 2 * width)  # 14×14
        self.at_quarter = nn.Sequential(  # 7×7
            _block(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False), 4 * width),
            _block(nn.Conv2d(4 * width, 4 * width, 3, padding=1, bias=False), 4 * width),
        )
        self.to_half = _block(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1, bias=False), 2 * width)
        self.to_full = _block(nn.ConvTranspose2d(4 * width, width, 4, stride=2, padding=1, bias=False), width)
        self.last = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """The other picture."""
        full = self.at_full(image)
        half = self.at_half(full)
        half_again = torch.cat([half, self.to_half(self.at_quarter(half))], dim=1)
        full_again = torch.cat([full, self.to_full(half_again)], dim=1)
        return torch.sigmoid(self.last(full_again))


class PatchCritic(nn.Module):
    """(given [B, 1, 28, 28], answer [B, 1, 28, 28]) → realness [B, 7, 7] of patches, logits (Isola et al. 2017).

    Spectral normalisation (Miyato et al. 2018) stands where they have batch normalisation.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(2, width, 4, stride=2, padding=1)),  # 14×14
            nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),  # 7×7
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, given: Tensor, answer: Tensor) -> Tensor:
        """The realness of every patch."""
        realness: Tensor = self.layers(torch.cat([given, answer], dim=1))
        return realness.squeeze(1)


def _block(layer: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.LeakyReLU(SLOPE))
