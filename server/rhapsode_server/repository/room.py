"""How much may be in memory at a time."""

from dataclasses import dataclass

from rhapsode_server.errors import RepositoryFull


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that may be in memory, what is loading and what is on its way out included; 0 is no limit."""

    models: int = 0
    size: int = 0
    """Bytes of bundles."""

    def check(self, models: int, total: int, size: int) -> None:
        """Raise RepositoryFull where one of this size is too much beside so many, which have `total` bytes."""
        if self.models and models >= self.models:
            text = f"{models} models are in memory, the most is {self.models} (--max-models)"
            raise RepositoryFull(text, {"max_models": str(self.models)})
        if self.size and total + size > self.size:
            beside = f"the bundles in memory have {total} bytes and this one {size}"
            text = f"{beside}, the most is {self.size} (--max-model-bytes)"
            raise RepositoryFull(text, {"max_model_bytes": str(self.size)})
