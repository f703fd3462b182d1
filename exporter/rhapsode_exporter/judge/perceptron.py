"""A plain multilayer perceptron as a baseline for classifiers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rhapsode_exporter.run.chance import Chance

WIDTH, BATCH, RATE = 256, 100, 1e-3


def perceptron_accuracy(
    inputs: Tensor, labels: Tensor, held_out: Tensor, held_out_labels: Tensor, epochs: int, classes: int
) -> float:
    """The share of held-out inputs [M, N] that a perceptron with one hidden layer names rightly after its lessons."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Linear(inputs.shape[1], WIDTH), nn.ReLU(), nn.Dropout(0.5), nn.Linear(WIDTH, classes)
        )
        optimiser, chance = torch.optim.Adam(network.parameters(), lr=RATE), Chance(0)
        for _ in range(epochs * (len(inputs) // BATCH)):
            rows = chance.rows(len(inputs), BATCH)
            loss = F.cross_entropy(network(inputs[rows]), labels[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
        with torch.no_grad():
            named = network.eval()(held_out).argmax(dim=1)
    return float((named == held_out_labels).double().mean())
