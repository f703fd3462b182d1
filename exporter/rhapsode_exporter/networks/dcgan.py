"""The generators and the critic of a deep convolutional GAN for 28×28 grey pictures."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from rhapsode_exporter.networks.minibatch import MinibatchDeviation

LATENT_SIZE = 64
# So many of a latent's numbers choose a mode, and how sharply and how strongly they do.
MODES = 16
SHARPNESS, STRENGTH = 6.0, 4.0


class Modes(nn.Module):
    """Latent [B, D] → code [B, D] whose first 16 numbers are nearly one-hot.

    A normal latent has no gaps, so that a generator draws half a 4 and half a 9 between the two. With a mixture in
    its place (as Gurumurthy et al. 2017 have it for small data sets) it can leave the gap out.
    """

    def forward(self, latent: Tensor) -> Tensor:
        """The code."""
        choice, rest = torch.split(latent, [MODES, latent.shape[1] - MODES], dim=1)
        return torch.cat([STRENGTH * torch.softmax(SHARPNESS * choice, dim=1), rest], dim=1)


class Generator(nn.Module):
    """Latent [B, D] → picture [B, 1, 28, 28] in [-1, 1], after Radford, Metz & Chintala 2016.

    Raises ValueError where a latent has no numbers left beside those that choose its mode.
    """

    def __init__(self, width: int = 32, latent_size: int = LATENT_SIZE) -> None:
        super().__init__()
        if latent_size <= MODES:
            raise ValueError(f"a latent of {latent_size} numbers is too short: {MODES} of them choose the mode")
        self.layers = nn.Sequential(Modes(), nn.Linear(latent_size, 3 * width * 49, bias=False), _drawing(width))
        self.apply(_initialise)

    def forward(self, latent: Tensor) -> Tensor:
        """The picture."""
        image: Tensor = self.layers(latent)
        return image


class ClassGenerator(nn.Module):
    """Latent [B, D] and class [B] → picture [B, 1, 28, 28] in [-1, 1] (after Mirza & Osindero 2014).

    The class says which mode is meant, so that the whole latent is left for how it is drawn.
    """

    def __init__(self, classes: int, width: int = 32, latent_size: int = LATENT_SIZE) -> None:
        super().__init__()
        self.classes = classes
        self.style = nn.Linear(latent_size, 3 * width * 49, bias=False)
        self.kind = nn.Embedding(classes, 3 * width * 49)
        self.drawing = _drawing(width)
        self.apply(_initialise)
        # As strong as all numbers of the latent together.
        nn.init.normal_(self.kind.weight, 0.0, 0.02 * latent_size**0.5)

    def forward(self, latent: Tensor, class_id: Tensor) -> Tensor:
        """The picture."""
        image: Tensor = self.drawing(self.style(latent) + self.kind(class_id))
        return image


class Critic(nn.Module):
    """Picture [B, 1, 28, 28] → realness [B], a logit.

    Spectral normalisation (Miyato et al. 2018) stands where Radford et al. have batch normalisation, so that a
    picture's score never depends on the pictures beside it. It has a score for every class, and its realness is the
    highest: where classes are known it learns them too (after Salimans et al. 2016), and a digit that is half one and
    half another does not pass.
    """

    def __init__(self, width: int = 32, classes: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(1, width, 4, stride=2, padding=1)),  # 14×14
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),  # 7×7
            nn.LeakyReLU(0.2),
            MinibatchDeviation(),
            spectral_norm(nn.Conv2d(2 * width + 1, 4 * width, 3, stride=2, padding=1)),  # 4×4
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            # Not normalised: with every layer bounded the critic is too blunt to teach strokes.
            nn.Linear(4 * width * 16, classes),
        )

    def forward(self, image: Tensor) -> Tensor:
        """The realness."""
        return self.scores(image).amax(dim=1)

    def scores(self, image: Tensor) -> Tensor:
        """How much like a real picture of each class it is, [B, classes], logits."""
        scores: Tensor = self.layers(image)
        return scores


class ClassifyingCritic(nn.Module):
    """A critic's picture [B, 1, 28, 28] → realness [B] and class logits [B, classes], as a server asks for both."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The realness and the logits, of which it is the highest."""
        scores = self.critic.scores(image)
        return scores.amax(dim=1), scores


def _drawing(width: int) -> nn.Sequential:
    """Features [B, 3 · width · 49] → picture [B, 1, 28, 28] in [-1, 1]."""
    return nn.Sequential(
        nn.Unflatten(1, (3 * width, 7, 7)),
        nn.BatchNorm2d(3 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(3 * width, 2 * width, 4, stride=2, padding=1, bias=False),  # 14×14
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, 1, 4, stride=2, padding=1),  # 28×28
        nn.Tanh(),
    )


def _initialise(module: nn.Module) -> None:
    """Weights from a normal of deviation 0.02, as Radford et al. found they need."""
    if isinstance(module, nn.Linear | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
