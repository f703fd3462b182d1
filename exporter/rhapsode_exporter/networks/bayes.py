"""Naive Bayes of black-and-white pictures: a class, then every pixel by itself given the class.

Counted, not trained: no gradient is taken.
"""

import torch
from torch import Tensor, nn

SMOOTHING = 1.0  # Laplace's: every pixel was seen once lit and once dark in every class before the first picture
BLACK = 0.5  # what is above is lit


def lit(images: Tensor) -> Tensor:
    """Pictures [B, 1, H, W] in [0, 1] as zeros and ones [B, H × W]."""
    return (images > BLACK).flatten(1).float()


def count_pixels(pixels: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The probability [classes, N] that a pixel is lit, from pictures [B, N] of zeros and ones and their labels [B]."""
    found = torch.zeros(classes, pixels.shape[1], dtype=torch.float64).index_add_(0, labels, pixels.double())
    seen = torch.bincount(labels, minlength=classes).double()
    return (found + SMOOTHING) / (seen + 2 * SMOOTHING)[:, None]


class BayesDecoder(nn.Module):
    """Uniforms [B, N] in [-1, 1) and a class [B] → a picture [B, 1, H, W] of zeros and ones.

    A pixel is lit where its uniform lies below its probability.
    """

    def __init__(self, probabilities: Tensor, height: int) -> None:
        super().__init__()
        self.height = height
        self.register_buffer("below", (2.0 * probabilities - 1.0).float())
        self.below: Tensor

    def forward(self, latent: Tensor, class_id: Tensor) -> Tensor:
        """The picture."""
        pixels = (latent < self.below[class_id]).float()
        return pixels.view(-1, 1, self.height, pixels.shape[1] // self.height)


class BayesCritic(nn.Module):
    """A picture [B, 1, H, W] in [0, 1] → its realness [B] and its log-joint with each class [B, classes].

    The log-joint is log p(class) + log p(pixels | class), so that its softmax over the classes is Bayes' rule. The
    realness is log p(pixels), summed over the classes, less `typical`, over `spread`.
    """

    def __init__(self, probabilities: Tensor, shares: Tensor, typical: float = 0.0, spread: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("weight", (probabilities.log() - (1.0 - probabilities).log()).T.float().contiguous())
        self.register_buffer("bias", ((1.0 - probabilities).log().sum(dim=1) + shares.log()).float())
        self.weight: Tensor
        self.bias: Tensor
        self.typical, self.spread = typical, spread

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(realness, class_logits)."""
        joint = lit(image) @ self.weight + self.bias
        largest = joint.max(dim=1, keepdim=True).values
        likelihood = (joint - largest).exp().sum(dim=1).log() + largest[:, 0]
        return (likelihood - self.typical) / self.spread, joint

    @torch.no_grad()
    def standardised(self, images: Tensor) -> "BayesCritic":
        """The same critic, whose realness has mean 0 and deviation 1 over these pictures."""
        raw, _ = self(images)
        likelihood = raw * self.spread + self.typical
        self.typical, self.spread = float(likelihood.mean()), max(1.0, float(likelihood.std()))
        return self
