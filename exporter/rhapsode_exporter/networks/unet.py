"""A small U-Net that predicts the noise in 28×28 grey pictures, after Ho et al. 2020."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

PATCH = 2
TIME_WIDTH = 64
# Steps of the slowest wave of the time embedding, as in Vaswani et al. 2017.
SLOWEST = 10_000.0
# Channels that are normalised together. A group of any row then has a multiple of 16 numbers, and so begins where
# vectors begin: its bits do not depend on the row's place in the batch.
GROUP = 16


class TimeEmbedding(nn.Module):
    """Time [B] in training steps → [B, 64]: sines and cosines of 32 frequencies."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        half = TIME_WIDTH // 2
        self.register_buffer("frequencies", torch.exp(-math.log(SLOWEST) * torch.arange(half) / half))

    def forward(self, time: Tensor) -> Tensor:
        """The embedding."""
        angles = time[:, None] * self.frequencies
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)


class Block(nn.Module):
    """Two convolutions past which the input is carried; what is asked for (time and class) scales and moves between.

    [B, C, H, W] and [B, condition] → [B, D, H, W] (He et al. 2016; the scale and shift after Dhariwal & Nichol 2021).
    """

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.ask = nn.Linear(condition, 2 * after)
        self.norm = _norm(after)
        self.second = nn.Sequential(nn.SiLU(), nn.Conv2d(after, after, 3, padding=1))
        self.carry = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """The features after it."""
        scale, move = torch.chunk(self.ask(condition)[:, :, None, None], 2, dim=1)
        inner = self.norm(self.first(features)) * (1.0 + scale) + move
        carried: Tensor = self.carry(features) + self.second(inner)
        return carried


class Denoiser(nn.Module):
    """Noisy picture [B, 1, 28, 28], time [B], class [B] → the noise [B, 1, 28, 28].

    Works on patches of 2×2 pixels, so at 14×14 and 7×7. The class `classes` stands for none, for guidance; a network of
    no classes takes no class. `signal` [T] is what is left of the signal's power at each time; `width` is a multiple of
    GROUP.

    What the layers give is the velocity (Salimans & Ho 2022), in which the picture is as easy to read off where nearly
    all is noise as the noise is where hardly any is; the noise follows from it and the noisy picture.
    """

    shares: Tensor

    def __init__(self, signal: Tensor, width: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("shares", torch.stack([signal.sqrt(), (1.0 - signal).sqrt()], dim=1).float())
        wide = condition = 2 * width
        self.classes = classes
        self.time = nn.Sequential(TimeEmbedding(), nn.Linear(TIME_WIDTH, condition), nn.SiLU())
        self.class_id = nn.Embedding(classes + 1, condition) if classes else None
        self.condition = nn.Sequential(nn.Linear(condition, condition), nn.SiLU())
        self.enter = nn.Sequential(nn.PixelUnshuffle(PATCH), nn.Conv2d(PATCH**2, width, 3, padding=1))  # 14×14
        self.down = _blocks([(width, width), (width, width)], condition)
        self.shrink = nn.Conv2d(width, wide, 3, stride=2, padding=1)  # 7×7
        self.middle = _blocks([(wide, wide)] * 3, condition)
        self.grow = nn.ConvTranspose2d(wide, width, 2, stride=2)  # 14×14
        self.up = _blocks([(2 * width, width), (2 * width, width)], condition)
        self.leave = nn.Sequential(
            _norm(width),
            nn.SiLU(),
            nn.Conv2d(width, PATCH**2, 3, padding=1),
            nn.PixelShuffle(PATCH),
        )

    def forward(self, image: Tensor, time: Tensor, class_id: Tensor | None = None) -> Tensor:
        """The noise."""
        asked: Tensor = self.time(time)
        if self.class_id is not None:
            asked = asked + self.class_id(class_id)
        condition = self.condition(asked)
        features = self.enter(image)
        carried = []
        for block in self.down:
            features = block(features, condition)
            carried.append(features)
        features = self.shrink(features)
        for block in self.middle:
            features = block(features, condition)
        features = self.grow(features)
        for block in self.up:
            features = block(torch.cat([features, carried.pop()], dim=1), condition)
        velocity: Tensor = self.leave(features)
        share, left = torch.split(self.shares[time.long()][:, :, None, None], [1, 1], dim=1)
        return share * velocity.float() + left * image


def _norm(channels: int) -> nn.GroupNorm:
    """Wu & He 2018: every GROUP channels of a picture to mean 0 and variance 1."""
    return nn.GroupNorm(channels // GROUP, channels)


def _blocks(widths: Sequence[tuple[int, int]], condition: int) -> nn.ModuleList:
    return nn.ModuleList(Block(before, after, condition) for before, after in widths)
