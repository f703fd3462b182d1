"""What is being loaded: what has its turn, and what waits for it."""

from collections import Counter
from collections.abc import Collection, Hashable, Set
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class Coming(Generic[KeyT]):
    """Versions by key. One may be loading and be asked for again meanwhile, since its folder has changed."""

    def __init__(self) -> None:
        self._waiting: Counter[KeyT] = Counter()
        self._sizes: dict[KeyT, int] = {}

    @property
    def keys(self) -> Set[KeyT]:
        """All of them."""
        return self._sizes.keys() | self._waiting.keys()

    @property
    def sizes(self) -> Collection[int]:
        """Of those that have their turn: what waits takes no room."""
        return self._sizes.values()

    def expect(self, key: KeyT) -> None:
        """One waits for its turn."""
        self._waiting[key] += 1

    def begin(self, key: KeyT, size: int) -> None:
        """One has its turn, whether or not it waited."""
        self._waiting -= Counter((key,))  # which keeps no zeros
        self._sizes[key] = size

    def end(self, key: KeyT) -> None:
        """What has its turn comes no more, or else what waits for it."""
        if self._sizes.pop(key, None) is None:
            self._waiting -= Counter((key,))
