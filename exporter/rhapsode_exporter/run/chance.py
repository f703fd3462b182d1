"""A random generator whose state a checkpoint can hold."""

from typing import Any

import torch


class Chance:
    """The one source of random numbers of a loop, so that a resumed run draws what an uninterrupted one does."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def fork(self) -> "Chance":
        """A second source at the same place; drawing from it leaves this one alone."""
        copy = Chance(0)
        copy.generator.set_state(self.generator.get_state())
        return copy

    def rows(self, count: int, size: int) -> torch.Tensor:
        """`size` row numbers below `count`, drawn with replacement."""
        return torch.randint(count, (size,), generator=self.generator)

    def normal(self, *shape: int) -> torch.Tensor:
        """Independent standard normals."""
        return torch.randn(*shape, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """The generator's state."""
        return {"state": self.generator.get_state()}

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take the state over."""
        self.generator.set_state(state_dict["state"])
