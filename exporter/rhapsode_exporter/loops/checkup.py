"""The examination of a game: what its watcher is told at each look."""

import torch
from torch import Tensor

from rhapsode_exporter.loops.players import Players
from rhapsode_exporter.loops.symptoms import Checkup
from rhapsode_exporter.networks.minibatch import deviation
from rhapsode_exporter.run.chance import Chance

EXAMINED_PICTURES = 512


def examine(players: Players, real: Tensor, labels: Tensor | None, chance: Chance) -> Checkup:
    """The generator's gradient and diversity as they are now.

    Works on copies and on a fork of `chance`: the game goes on as if nobody had looked.
    """
    alone, chance = players.copy(), chance.fork()
    alone.generator_loss(alone.settings.batch, chance).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    gradients = [parameter.grad for parameter in alone.generator.parameters() if parameter.grad is not None]
    rows = chance.rows(len(real), EXAMINED_PICTURES)
    kinds = labels[rows] if labels is not None and alone.asked else None
    with torch.no_grad():
        made = alone.generate(EXAMINED_PICTURES, chance, kinds)
    return Checkup(
        float(torch.stack([gradient.norm() for gradient in gradients]).norm()),
        diversity(made, kinds) / max(diversity(real[rows], kinds), 1e-12),
    )


def diversity(images: Tensor, labels: Tensor | None) -> float:
    """How much pictures [N, C, H, W] deviate from each other; the mean over the classes [N], where these are given."""
    groups = [images] if labels is None else [images[labels == label] for label in set(labels.tolist())]
    return sum(float(deviation(group)) for group in groups) / len(groups)
