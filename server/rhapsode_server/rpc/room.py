"""How much of what clients sent may wait to be read at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from rhapsode_server.errors import QueueFull
from rhapsode_server.observe.metrics import Metrics

MOST_BYTES = 64 << 20  # sixteen full messages, which two threads read in some seconds
LEAST_BYTES = 32 << 10  # that a request counts for, however small: two thousand of the smallest ones


class Room:
    """A waiting room for requests whose pictures or texts are read in threads. Lives in the event loop.

    Without it, what takes long to read could pile up until memory or every deadline runs out; a request that finds it
    full is told so at once.
    """

    def __init__(self, metrics: Metrics, most: int = MOST_BYTES) -> None:
        self._rejected = metrics.rejected
        self._most = most
        self._taken = 0

    @contextmanager
    def place(self, model: str, size: int) -> Iterator[None]:
        """Take the place of so many bytes of a request to a model. Raises QueueFull; one alone always finds a place."""
        size = max(size, LEAST_BYTES)
        if self._taken and self._taken + size > self._most:
            self._rejected.labels(model, QueueFull.reason.lower()).inc()
            raise QueueFull("too much waits to be read", {"max_bytes": str(self._most)})
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size
