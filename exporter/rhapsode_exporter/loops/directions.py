"""The fit of a direction in latent space to pairs of pictures, through a decoder that stays as it is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rhapsode_exporter.networks.vae import Autoencoder
from rhapsode_exporter.run.chance import Chance

BATCH, RATE = 64, 0.03


@dataclass(frozen=True, slots=True)
class Side:
    """Pictures [N, 3, S, S] that all have an attribute, or all lack it, with their latents [N, D]."""

    pictures: Tensor
    latents: Tensor


def mean_change(absent: Side, present: Side) -> Tensor:
    """The difference of the means [D], as FitAttribute takes it."""
    return present.latents.mean(dim=0) - absent.latents.mean(dim=0)


def fit_direction(network: Autoencoder, absent: Side, present: Side, steps: int, seed: int = 0) -> Tensor:
    """The move [D] that comes nearest to turning each picture without into its pair with, and the other way round.

    Least squares on the decoded pictures, by stochastic gradient from the difference of the means on: the mean
    difference says where the latents of pictures with the attribute lie, this says which move shows it and keeps the
    rest of the picture.
    """
    move = mean_change(absent, present).requires_grad_()
    optimiser, chance = torch.optim.Adam([move], lr=RATE), Chance(seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1.0 - step / steps)
        rows = chance.rows(len(absent.latents), BATCH)
        added = network.decoder(absent.latents[rows] + move) - present.pictures[rows]
        removed = network.decoder(present.latents[rows] - move) - absent.pictures[rows]
        loss = added.square().mean() + removed.square().mean()
        (move.grad,) = torch.autograd.grad(loss, [move])
        optimiser.step()
    return move.detach()
