"""Networks that scramble bits with a key, and networks that try to read them without one (Abadi & Andersen 2016).

A bit is a number, −1 or 1; what a network makes of bits lies between.
"""

import torch
from torch import Tensor, nn


class KeyedNetwork(nn.Module):
    """Numbers [B, bits] and a key [B, bits] → numbers [B, bits] in (-1, 1).

    Sums of the numbers are multiplied by sums of the key's bits: exclusive or is a product where bits are ±1. With the
    paper's own network for both, a layer and four convolutions, nothing was read after 5,000 steps of 512 messages.
    """

    def __init__(self, bits: int, width: int) -> None:
        super().__init__()
        self.numbers = nn.Linear(bits, width)
        self.key = nn.Linear(bits, width)
        self.mixed = nn.Linear(width, bits)

    def forward(self, numbers: Tensor, key: Tensor) -> Tensor:
        """The sender's ciphertext of a plaintext, or the receiver's plaintext of a ciphertext."""
        return torch.tanh(self.mixed(self.numbers(numbers) * self.key(key)))


class Eavesdropper(nn.Sequential):
    """Ciphertext [B, bits] → a guess of the plaintext [B, bits] in (-1, 1)."""

    def __init__(self, bits: int, width: int) -> None:
        super().__init__(
            nn.Linear(bits, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, bits),
            nn.Tanh(),
        )


class Mixer(nn.Module):
    """Ciphertext [B, bits] → a guess of the plaintext: the paper's "mix and transform".

    One layer joins everything, four convolutions look at what lies side by side.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.join = nn.Linear(bits, 2 * bits)
        self.transform = nn.Sequential(
            nn.ZeroPad1d((1, 2)),
            nn.Conv1d(1, 2, 4),
            nn.Sigmoid(),
            nn.Conv1d(2, 4, 2, stride=2),
            nn.Sigmoid(),
            nn.Conv1d(4, 4, 1),
            nn.Sigmoid(),
            nn.Conv1d(4, 1, 1),
            nn.Tanh(),
        )

    def forward(self, numbers: Tensor) -> Tensor:
        """The guess."""
        transformed: Tensor = self.transform(torch.sigmoid(self.join(numbers))[:, None])
        return transformed[:, 0]
