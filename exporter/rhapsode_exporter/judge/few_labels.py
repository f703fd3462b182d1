"""How well a critic names digits that it never saw, beside what can be had from the same few labels without a game."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode.v1.bundle_pb2 import Metric
from rhapsode_exporter.data.digits import CLASSES
from rhapsode_exporter.networks.semi_supervised import ClassCritic

PENALTY = 1e-3
ITERATIONS = 200


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Shares of held-out digits that are named rightly, all after the same labels."""

    semi_supervised: float
    supervised: float
    probe: float


def draw_labels(labels: NDArray[np.int64], per_class: int, seed: int) -> Tensor:
    """Rows of so many pictures of each class, drawn by the seed: int64 [10 × per_class]."""
    chance = np.random.default_rng(seed)
    rows = [chance.permutation(np.flatnonzero(labels == label))[:per_class] for label in range(CLASSES)]
    return torch.from_numpy(np.concatenate(rows))


@torch.no_grad()
def accuracy(critic: ClassCritic, images: Tensor, labels: Tensor) -> float:
    """The share of pictures [N, 1, 28, 28] that the critic names rightly."""
    return float((critic(images)[1].argmax(dim=1) == labels).double().mean())


def probe_accuracy(critic: ClassCritic, taught: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> float:
    """The accuracy of a logistic regression on the frozen critic's features, taught by a few pictures and labels."""
    with torch.no_grad():
        few, many = critic.features(taught[0]), critic.features(held_out[0])
    probe = linear_probe(few, taught[1])
    with torch.no_grad():
        return float((probe(many).argmax(dim=1) == held_out[1]).double().mean())


def linear_probe(features: Tensor, labels: Tensor) -> nn.Linear:
    """A logistic regression of features [N, D], a little drawn towards zero, fitted by L-BFGS (Liu & Nocedal 1989)."""
    probe = nn.Linear(features.shape[1], CLASSES)
    nn.init.zeros_(probe.weight)
    nn.init.zeros_(probe.bias)
    optimiser = torch.optim.LBFGS(probe.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimiser.zero_grad()
        value = F.cross_entropy(probe(features), labels) + PENALTY * probe.weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return float(value.detach())

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return probe


def metrics(found: Accuracies, labels: int) -> tuple[Metric, ...]:
    """The figures of one draw of labels."""
    alone = f"the same network taught by the same {labels} labels alone"
    return (
        _share("held_out_accuracy_share", found.semi_supervised, found.supervised, alone, "the critic names rightly"),
        _share(
            "linear_probe_accuracy_share",
            found.probe,
            found.supervised,
            alone,
            f"a logistic regression on the frozen critic's features, taught by the same {labels} labels, names rightly",
        ),
        _share("supervised_accuracy_share", found.supervised, 1 / CLASSES, "guessing", f"{alone} names rightly"),
    )


def _share(name: str, value: float, baseline: float, baseline_name: str, what: str) -> Metric:
    return Metric(
        name=name,
        value=value,
        higher_is_better=True,
        baseline=baseline,
        baseline_name=baseline_name,
        description=f"share of held-out digits that {what}",
    )
