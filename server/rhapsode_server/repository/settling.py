"""Tells what has come to rest from what is still changing."""

from collections.abc import Mapping
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Settling(Generic[KeyT, ValueT]):
    """What was the same in looks so many `seconds` apart has settled. Values only: it is told when it is."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[KeyT, tuple[ValueT, float]] = {}
        self._now = 0.0

    def see(self, values: Mapping[KeyT, ValueT], now: float) -> Mapping[KeyT, ValueT]:
        """Take what is seen now, and give of it what has settled."""
        self._now = now
        before = self._since
        self._since = {
            key: (value, before[key][1] if key in before and before[key][0] == value else now)
            for key, value in values.items()
        }
        return {key: value for key, value in values.items() if self.rest(key) >= self._seconds}

    def rest(self, key: KeyT) -> float:
        """Seconds for which it has been the same."""
        return self._now - self._since[key][1]

    def unrest(self) -> bool:
        """Whether there is anything that has not settled."""
        return any(self.rest(key) < self._seconds for key in self._since)
