"""The recurrent character network: LSTM, GRU or minGRU layers for training, and its single step for export."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from rhapsode_exporter.networks.mingru import MinGruBlock, MinGruLayers

State = tuple[Tensor, ...]  # (hidden, cell) of an LSTM, (hidden,) of the others, each [layers, B, width]
Cell = Literal["lstm", "gru", "mingru"]


@dataclass(frozen=True, slots=True)
class RecurrentShape:
    """Sizes of the network: V characters, embedded in `embedding` numbers, `layers` layers of `width` units."""

    vocabulary: int
    embedding: int = 64
    width: int = 512
    layers: int = 2
    cell: Cell = "lstm"

    @property
    def kinds(self) -> str:
        """The states of a layer, a letter each: hidden, and an LSTM's cell."""
        return "hc" if self.cell == "lstm" else "h"


class CharacterNetwork(nn.Module):
    """Embedding → recurrent layers → logits, with dropout between the layers (Zaremba 2014).

    The layers are LSTM (Hochreiter & Schmidhuber 1997), GRU (Cho 2014) or minGRU (Feng 2024), as the shape says.
    """

    def __init__(self, shape: RecurrentShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.embedding)
        self.dropout = nn.Dropout(dropout)
        between = dropout if shape.layers > 1 else 0.0
        self.layers = _LAYERS[shape.cell](shape.embedding, shape.width, shape.layers, dropout=between)
        self.output = nn.Linear(shape.width, shape.vocabulary)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits [T, B, V] for the character after each of `tokens` [T, B], and the state after the last."""
        inputs = self.dropout(self.embedding(tokens))  # [T, B, embedding]
        hidden, following = self.layers(inputs, state if len(state) > 1 else state[0])  # [T, B, width]
        return self.output(self.dropout(hidden)), following if isinstance(following, tuple) else (following,)

    def fresh_state(self, rows: int) -> State:
        """The state before the first character: zeros."""
        return tuple(torch.zeros(self.shape.layers, rows, self.shape.width) for _ in self.shape.kinds)


class StepCell(nn.Module):
    """One step of a CharacterNetwork with its weights: (token, states …) → (logits, states …), in that order.

    A layer's step is (below, states …) → (above, states …).

    The gates are cut at constant places, so that the graph has no node that computes a shape.
    """

    def __init__(self, network: CharacterNetwork) -> None:
        super().__init__()
        self.kinds = len(network.shape.kinds)
        self.embedding = network.embedding
        self.output = network.output
        step = _STEPS[network.shape.cell]
        self.steps = nn.ModuleList(step(network.layers, layer) for layer in range(network.shape.layers))

    def forward(self, token: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        """Logits [B, V] and the next states, for `token` [B] and states [B, width] in the order of state_names."""
        below = self.embedding(token)
        following: list[Tensor] = []
        for layer, step in enumerate(self.steps):
            below, *after = step(below, *states[self.kinds * layer : self.kinds * (layer + 1)])
            following += after
        return self.output(below), *following


def state_names(shape: RecurrentShape) -> tuple[str, ...]:
    """The names of a step's state tensors, in the order of StepCell: h0, c0, h1, c1, … or h0, h1, …"""
    return tuple(f"{kind}{layer}" for layer in range(shape.layers) for kind in shape.kinds)


class _LstmStep(nn.Module):
    """A layer as one matrix product over [input, hidden], with torch's gate order (input, forget, cell, output)."""

    def __init__(self, layers: nn.RNNBase, layer: int) -> None:
        super().__init__()
        self.width = layers.hidden_size
        from_input, from_hidden = _linear(layers, "ih", layer), _linear(layers, "hh", layer)
        weight = torch.cat((from_input.weight, from_hidden.weight), dim=1)
        self.gates = _holding(weight, from_input.bias + from_hidden.bias)

    def forward(self, below: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        admit, keep, new, show = torch.split(self.gates(torch.cat((below, hidden), dim=1)), self.width, dim=1)
        cell = torch.sigmoid(keep) * cell + torch.sigmoid(admit) * torch.tanh(new)
        hidden = torch.sigmoid(show) * torch.tanh(cell)
        return hidden, hidden, cell


class _GruStep(nn.Module):
    """A layer as two matrix products, with torch's gate order (reset, update, new).

    They cannot be one: the reset gate stands between what the new gate takes from the hidden state and from the input.
    """

    def __init__(self, layers: nn.RNNBase, layer: int) -> None:
        super().__init__()
        self.width = layers.hidden_size
        self.from_input, self.from_hidden = _linear(layers, "ih", layer), _linear(layers, "hh", layer)

    def forward(self, below: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        sizes = [2 * self.width, self.width]
        gates_of_input, new_of_input = torch.split(self.from_input(below), sizes, dim=1)
        gates_of_hidden, new_of_hidden = torch.split(self.from_hidden(hidden), sizes, dim=1)
        reset, update = torch.split(torch.sigmoid(gates_of_input + gates_of_hidden), self.width, dim=1)
        new = torch.tanh(new_of_input + reset * new_of_hidden)
        hidden = new + update * (hidden - new)
        return hidden, hidden


class _MinGruStep(nn.Module):
    """A block as it is; the first one with what enters the layers, the last one with what leaves them."""

    def __init__(self, layers: MinGruLayers, layer: int) -> None:
        super().__init__()
        self.block = cast("MinGruBlock", layers.blocks[layer])
        self.enter = layers.enter if layer == 0 else nn.Identity()
        self.leave = layers.leave if layer == len(layers.blocks) - 1 else nn.Identity()

    def forward(self, below: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        above, hidden = self.block.step(self.enter(below), hidden)
        return self.leave(above), hidden


_LAYERS: Mapping[Cell, Callable[..., nn.Module]] = MappingProxyType(
    {"lstm": nn.LSTM, "gru": nn.GRU, "mingru": MinGruLayers}
)
_STEPS: Mapping[Cell, Callable[[Any, int], nn.Module]] = MappingProxyType(
    {"lstm": _LstmStep, "gru": _GruStep, "mingru": _MinGruStep}
)


def _linear(layers: nn.RNNBase, kind: str, layer: int) -> nn.Linear:
    """One of the two products of torch's layer number `layer`: "ih" of the input, "hh" of the hidden state."""
    return _holding(getattr(layers, f"weight_{kind}_l{layer}"), getattr(layers, f"bias_{kind}_l{layer}"))


@torch.no_grad()
def _holding(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A Linear with a copy of these numbers."""
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.copy_(weight)
    linear.bias.copy_(bias)
    return linear
