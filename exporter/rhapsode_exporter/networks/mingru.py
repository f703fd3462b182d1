"""minGRU layers (Feng et al. 2024, "Were RNNs all we needed?"): a recurrence that is linear in its state.

Gate and candidate follow from the input alone, so that all products over time are one matrix product; what is left from
step to step is h = (1 − z) · h + z · candidate, number by number.
"""

from typing import Any

import torch
from torch import Tensor, nn


class MinGruBlock(nn.Module):
    """x + out(h · silu(gate(x̂))), x̂ the normalised input: a minGRU in a gated residual branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.norm = nn.LayerNorm(width)
        self.enter = nn.Linear(width, 3 * width)
        self.leave = nn.Linear(width, width, bias=False)

    def forward(self, below: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs [T, B, width] of inputs [T, B, width], and the state [B, width] after the last."""
        update, candidate, gate = self._parts(below)
        states = recurrence(1 - update, update * candidate, hidden)
        return below + self.leave(states * nn.functional.silu(gate)), states[-1]

    def step(self, below: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The same for a single step: [B, width] each."""
        update, candidate, gate = self._parts(below)
        hidden = hidden + update * (candidate - hidden)
        return below + self.leave(hidden * gate * torch.sigmoid(gate)), hidden

    def _parts(self, below: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The update gate in (0, 1), the candidate, and the branch's gate, in float32."""
        update, candidate, gate = torch.split(self.enter(self.norm(below)).float(), self.width, dim=-1)
        return torch.sigmoid(update), candidate, gate


class MinGruLayers(nn.Module):
    """`layers` blocks over an input of another size, with the interface of torch's recurrent layers."""

    def __init__(self, inputs: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(MinGruBlock(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.leave = nn.LayerNorm(width)

    def forward(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs [T, B, width] of inputs [T, B, inputs] and the states [layers, B, width] after the last."""
        hidden, following = self.enter(inputs), []
        for block, before in zip(self.blocks, state, strict=True):
            hidden, after = block(self.dropout(hidden), before)
            following.append(after)
        return self.leave(hidden), torch.stack(following)


def recurrence(keep: Tensor, new: Tensor, first: Tensor) -> Tensor:
    """h[t] = keep[t] · h[t − 1] + new[t], all [T, B, width], with h[−1] = first [B, width]."""
    states: Tensor = _Recurrence.apply(keep, new, first)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return states


class _Recurrence(torch.autograd.Function):
    """Its walk over the first axis, and the same walk backwards for the gradient."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, first: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        states = torch.empty_like(new)
        before = first
        for kept, added, after in zip(keep, new, states, strict=True):
            torch.addcmul(added, kept, before, out=after)
            before = after
        ctx.save_for_backward(keep, states, first)
        return states

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401 - torch's own
        keep, states, first = ctx.saved_tensors
        total = gradient.clone()
        for place in range(len(total) - 1, 0, -1):
            total[place - 1].addcmul_(keep[place], total[place])
        before = torch.cat((first[None], states[:-1]))
        return total * before, total, total[0] * keep[0]
