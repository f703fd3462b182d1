"""Boltzmann machines of pictures by class, with one layer of hidden units or two.

Restricted: Smolensky 1986 (as the Harmonium), Hinton 2002. Deep: Salakhutdinov & Hinton 2009. All units are zeros and
ones. The class is given and not drawn: it moves the biases of the pixels and of the topmost hidden units.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

OUTLIER = 0.01  # no pixel is taken for more certain than this, whatever its mean


class Units(NamedTuple):
    """Zeros and ones, or their probabilities: pixels [B, N], hidden [B, H], top [B, T] (T is 0 without a top layer)."""

    pixels: Tensor
    hidden: Tensor
    top: Tensor


class Machine(nn.Module):
    """The weights, and what units do given the others.

    E = −pixelsᵀ·W·hidden − hiddenᵀ·V·top − biases; V is absent where `top` is 0, and then the class moves `hidden`.
    """

    def __init__(self, pixels: int, hidden: int, top: int, classes: int) -> None:
        super().__init__()
        self.deep = top > 0
        self.weight = _weights(pixels, hidden)
        self.upper = _weights(hidden, top)
        self.pixel_bias = _weights(classes, pixels)
        self.hidden_bias = _weights(1, hidden)
        self.class_bias = _weights(classes, top or hidden)

    @torch.no_grad()
    def begin(self, means: Tensor, generator: torch.Generator) -> None:
        """Small random weights, and pixels as likely as their means [classes, N] say."""
        for weight in (self.weight, self.upper):
            weight.copy_(0.01 * torch.randn(weight.shape, generator=generator))
        self.pixel_bias.copy_(means.clamp(OUTLIER, 1 - OUTLIER).logit())
        self.hidden_bias.fill_(-1.0)
        self.class_bias.zero_()

    def pixels_of(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """The probability [B, N] that each pixel is lit."""
        return torch.sigmoid(hidden @ self.weight.T + self.pixel_bias[labels])

    def hidden_of(self, pixels: Tensor, top: Tensor, labels: Tensor) -> Tensor:
        """The probability [B, H] of each hidden unit."""
        above = top @ self.upper.T if self.deep else self.class_bias[labels]
        return torch.sigmoid(pixels @ self.weight + above + self.hidden_bias)

    def top_of(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """The probability [B, T] of each unit of the top layer."""
        return torch.sigmoid(hidden @ self.upper + self.class_bias[labels]) if self.deep else hidden[:, :0]

    def mean_field(self, pixels: Tensor, labels: Tensor, rounds: int) -> Units:
        """What hidden units make of pixels [B, N]; exact with one layer, else the fixed point that `rounds` lead to."""
        hidden = self.hidden_of(pixels, pixels.new_zeros(len(pixels), self.upper.shape[1]), labels)
        top = self.top_of(hidden, labels)
        for _ in range(rounds if self.deep else 0):
            hidden = self.hidden_of(pixels, top, labels)
            top = self.top_of(hidden, labels)
        return Units(pixels, hidden, top)

    def log_joint(self, pixels: Tensor) -> Tensor:
        """Minus the free energy [B, classes] of pixels with each class; of a restricted machine."""
        felt = (pixels @ self.weight + self.hidden_bias)[:, None] + self.class_bias  # [B, classes, H]
        return nn.functional.softplus(felt).sum(dim=2) + pixels @ self.pixel_bias.T


class GibbsStep(nn.Module):
    """One step of a machine's chain, as it is exported; all noise comes in.

    state [B, H], uniform [B, N + T + H], class_id [B] → next_state [B, H], image [B, 1, height, width]. Pixels and top
    layer are drawn given the hidden units, then these again. The picture is the pixels' probabilities.
    """

    def __init__(self, machine: Machine, height: int) -> None:
        super().__init__()
        self.machine = machine
        self.height = height
        hidden, top = machine.upper.shape
        self.sizes = [machine.weight.shape[0], top, hidden] if machine.deep else [machine.weight.shape[0], hidden]

    def forward(self, state: Tensor, uniform: Tensor, class_id: Tensor) -> tuple[Tensor, Tensor]:
        """(next_state, image)."""
        machine = self.machine
        of_pixels, *of_top, of_hidden = torch.split(uniform, self.sizes, dim=1)
        likely = machine.pixels_of(state, class_id)
        top = _drawn(of_top[0], machine.top_of(state, class_id)) if of_top else state[:, :0]
        again = _drawn(of_hidden, machine.hidden_of(_drawn(of_pixels, likely), top, class_id))
        return again, likely.view(-1, 1, self.height, likely.shape[1] // self.height)


def _drawn(uniform: Tensor, probability: Tensor) -> Tensor:
    return (uniform < probability).float()


def _weights(*shape: int) -> nn.Parameter:
    """Weights that are moved by hand: the gradient of the likelihood is a difference of means, not of a loss."""
    return nn.Parameter(torch.zeros(shape), requires_grad=False)
