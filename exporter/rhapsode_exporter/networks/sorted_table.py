"""A search in a sorted table as a graph can do it: for all keys at once, without a loop."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FAN = 48  # three look-ups of so many keys find one among 110,000; a node costs what a look at a thousand keys does


class SortedTable(nn.Module):
    """Keys int64 [B, L] → their places int32 [B, L] among N ascending ones, 0 for what is not there.

    A tree of equal fan-out lies over the table: its nodes hold the first keys of all their branches but the leftmost,
    and the branch to follow is the number of those that a key has reached. Number 0 of the table is a key that none is.
    """

    def __init__(self, keys: NDArray[np.int64], fan: int = FAN) -> None:
        super().__init__()
        self.depth = max(1, math.ceil(math.log(len(keys)) / math.log(fan)))
        self.fan = max(2, math.ceil(len(keys) ** (1 / self.depth)))
        beyond = keys[-1] + 1 + np.arange(self.fan**self.depth - len(keys))
        filled = np.concatenate([keys, beyond])
        self.register_buffer("sorted", torch.from_numpy(filled))
        self.sorted: Tensor
        for level in range(self.depth - 1):
            firsts = filled.reshape(self.fan**level, self.fan, -1)[:, 1:, 0]
            branches = nn.Module()  # gives the tensor a name that the server knows: ….sorted
            branches.register_buffer(
                "sorted", torch.from_numpy(firsts[0] if level == 0 else firsts.copy()).contiguous()
            )
            self.add_module(f"level{level}", branches)

    def forward(self, keys: Tensor) -> Tensor:
        """The places."""
        wanted = keys[:, :, None]
        leaves = self.sorted.view(-1, self.fan)
        if self.depth == 1:
            return self._confirmed(_passed(wanted, leaves[0]) - 1, keys)
        branch = _passed(wanted, self.get_buffer("level0.sorted"))
        for level in range(1, self.depth - 1):
            branch = branch * self.fan + _passed(wanted, self.get_buffer(f"level{level}.sorted")[branch])
        return self._confirmed(branch * self.fan + _passed(wanted, leaves[branch]) - 1, keys)

    def _confirmed(self, places: Tensor, keys: Tensor) -> Tensor:
        return torch.where(self.sorted[places] == keys, places, 0)


def _passed(wanted: Tensor, keys: Tensor) -> Tensor:
    return (wanted >= keys).to(torch.int32).sum(dim=2, dtype=torch.int32)
