"""The recurrent character network: LSTM layers for training, and its single step for export."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # (hidden, cell), each [layers, B, width]


@dataclass(frozen=True, slots=True)
class RecurrentShape:
    """Sizes of the network: V characters, embedded in `embedding` numbers, `layers` LSTM layers of `width` units."""

    vocabulary: int
    embedding: int = 64
    width: int = 512
    layers: int = 2


class CharacterNetwork(nn.Module):
    """Embedding → LSTM (Hochreiter & Schmidhuber 1997) → logits, with dropout between the layers (Zaremba 2014)."""

    def __init__(self, shape: RecurrentShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.embedding)
        self.dropout = nn.Dropout(dropout)
        between = dropout if shape.layers > 1 else 0.0
        self.layers = nn.LSTM(shape.embedding, shape.width, shape.layers, dropout=between)
        self.output = nn.Linear(shape.width, shape.vocabulary)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits [T, B, V] for the character after each of `tokens` [T, B], and the state after the last."""
        inputs = self.dropout(self.embedding(tokens))  # [T, B, embedding]
        hidden, state = self.layers(inputs, state)  # [T, B, width]
        return self.output(self.dropout(hidden)), state

    def fresh_state(self, rows: int) -> State:
        """The state before the first character: zeros."""
        zeros = torch.zeros(self.shape.layers, rows, self.shape.width)
        return zeros, zeros.clone()


class StepCell(nn.Module):
    """One step of a CharacterNetwork with its weights: (token, h0, c0, h1, c1, …) → (logits, h0, c0, h1, c1, …).

    Each layer is one matrix product over [input, hidden] with torch's gate order (input, forget, cell, output),
    and the gates are cut at constant places, so that the graph has no node that computes a shape.
    """

    def __init__(self, network: CharacterNetwork) -> None:
        super().__init__()
        self.width = network.shape.width
        self.embedding = network.embedding
        self.output = network.output
        self.gates = nn.ModuleList(_merged(network.layers, layer) for layer in range(network.shape.layers))

    def forward(self, token: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits [B, V] and the next states, for `token` [B] and states [B, width] in the order h0, c0, h1, c1, …"""
        below = self.embedding(token)
        following: list[Tensor] = []
        for layer, gates in enumerate(self.gates):
            hidden, cell = states[2 * layer], states[2 * layer + 1]
            admit, keep, new, show = torch.split(gates(torch.cat((below, hidden), dim=1)), self.width, dim=1)
            cell = torch.sigmoid(keep) * cell + torch.sigmoid(admit) * torch.tanh(new)
            below = torch.sigmoid(show) * torch.tanh(cell)
            following += [below, cell]
        return self.output(below), *following


def state_names(shape: RecurrentShape) -> tuple[str, ...]:
    """The names of a step's state tensors, in the order of StepCell."""
    return tuple(f"{kind}{layer}" for layer in range(shape.layers) for kind in "hc")


def _merged(layers: nn.LSTM, layer: int) -> nn.Linear:
    """Layer number `layer` as one Linear over [input, hidden]."""
    weights = torch.cat((getattr(layers, f"weight_ih_l{layer}"), getattr(layers, f"weight_hh_l{layer}")), dim=1)
    linear = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weights)
        linear.bias.copy_(getattr(layers, f"bias_ih_l{layer}") + getattr(layers, f"bias_hh_l{layer}"))
    return linear
