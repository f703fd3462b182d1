"""The critic with a score for every class, and its generator, of a semi-supervised game of 28×28 grey pictures."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

LATENT_SIZE = 64
HIDDEN = 400
SLOPE = 0.2
# Halley's method triples the exact digits in each round; from the middle of the logarithms of 1…10 three are enough.
ROUNDS, MIDDLE = 3, 1.15


class Noise(nn.Module):
    """Normal noise on every value in training, nothing in evaluation (as Salimans et al. 2016 have it)."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self._deviation = deviation

    def forward(self, values: Tensor) -> Tensor:
        """The values, disturbed in training."""
        return values + self._deviation * torch.randn_like(values) if self.training else values


class ClassCritic(nn.Module):
    """Picture [B, 1, 28, 28] in [-1, 1] → realness [B] and class logits [B, K], after Salimans et al. 2016.

    The K + 1 classes are those of real pictures and "made", whose logit is fixed at zero: realness is the logarithm of
    the sum of the exponentials of the others, the logit of being real. Weight normalisation (Salimans & Kingma 2016)
    leaves a picture's score independent of the pictures beside it.
    """

    def __init__(self, width: int = 32, features: int = 128, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Noise(0.2),
            weight_norm(nn.Conv2d(1, width, 5, stride=2, padding=2)),  # 14×14
            nn.LeakyReLU(SLOPE),
            nn.Dropout2d(0.1),
            weight_norm(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)),  # 7×7
            nn.LeakyReLU(SLOPE),
            nn.Dropout2d(0.1),
            weight_norm(nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1)),  # 4×4
            nn.LeakyReLU(SLOPE),
            nn.Flatten(),
            nn.Dropout(0.5),
            weight_norm(nn.Linear(2 * width * 16, features)),
            nn.LeakyReLU(SLOPE),
        )
        self.classify = weight_norm(nn.Linear(features, classes))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(realness, class logits)."""
        logits: Tensor = self.classify(self.features(image))
        return log_sum_exp(logits), logits

    def features(self, image: Tensor) -> Tensor:
        """What the last layer judges by, [B, features]."""
        features: Tensor = self.layers(image)
        return features


class PictureMaker(nn.Module):
    """Latent [B, D] → picture [B, 1, 28, 28] in [-1, 1]: the fully connected generator of Salimans et al. 2016."""

    def __init__(self, latent_size: int = LATENT_SIZE, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_size, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, 28 * 28),
            nn.Tanh(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, latent: Tensor) -> Tensor:
        """The picture."""
        image: Tensor = self.layers(latent)
        return image


def log_sum_exp(logits: Tensor) -> Tensor:
    """The logarithm of the sum of the exponentials of some ten logits [B, K]: [B].

    Made of Exp and arithmetic on single numbers, added one after another: ONNX Runtime's Log and ReduceSum may give
    other last bits at other places in a batch. The logarithm is the root of exp(y) = sum, found by Halley's method.
    """
    top = logits.amax(dim=1, keepdim=True)
    total, *others = torch.split(torch.exp(logits - top), 1, dim=1)
    for other in others:
        total = total + other
    root = torch.full_like(total, MIDDLE)
    for _ in range(ROUNDS):
        reached = torch.exp(root)
        root = root + 2.0 * (total - reached) / (total + reached)
    return (top + root)[:, 0]
