"""A moving average of a network's weights, which generates better than the weights of any one step."""

import copy
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """A copy of a network that follows it, exponentially; its buffers too (Karras et al. 2018)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Move a little towards the network as it is now."""
        present = network.state_dict()
        for name, mine in self.network.state_dict().items():
            if mine.is_floating_point():
                mine.lerp_(present[name], 1.0 - self._decay)
            else:
                mine.copy_(present[name])

    def state_dict(self) -> dict[str, Any]:
        """The average."""
        return self.network.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take an average over."""
        self.network.load_state_dict(state_dict)
