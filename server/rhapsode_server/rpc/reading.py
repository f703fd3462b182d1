"""Reading long texts aside, so that the event loop goes on meanwhile."""

from collections.abc import Callable
from typing import TypeVar

from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.rpc.aside import aside
from rhapsode_server.rpc.room import MOST_BYTES, Room

ResultT = TypeVar("ResultT")
AT_ONCE = 4096  # characters: a few milliseconds at the most
READERS = 2  # long texts at a time: a tokenizer may take a hundred times a text's size to cut it


class Reading:
    """Threads that read long texts, a few at a time however many there are."""

    def __init__(self, metrics: Metrics, most: int = MOST_BYTES) -> None:
        """`most` bytes of texts may wait at a time."""
        self._readers = metrics.pool("texts", READERS)
        self._room = Room(metrics, most)

    async def read(self, characters: int, model: str, reading: Callable[[], ResultT]) -> ResultT:
        """What `reading` gives, which looks at so many characters for a model; aside where these are many.

        Raises QueueFull where too many wait already.
        """
        if characters <= AT_ONCE:
            return reading()
        with self._room.place(model, characters):
            return await aside(self._readers, reading)
