"""How much of one stream may be under way: when it is full, no more of it is read."""

import asyncio

MOST = 256  # requests
BYTES = 16 << 20  # of requests, and of replies that are made or waited for


class Room:
    """Counts requests that are under way, their replies' way out included. One at a time may wait to enter."""

    def __init__(self, most: int = MOST, most_bytes: int = BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._count = 0
        self._bytes = 0
        self._left = asyncio.Event()

    async def enter(self, size: int) -> None:
        """Wait until a request of so many bytes has room. One that is larger than all the room goes by itself."""
        while self._count and (self._count >= self._most or self._bytes + size > self._most_bytes):
            self._left.clear()
            await self._left.wait()
        self._count += 1
        self._bytes += size

    def grow(self, size: int) -> None:
        """A request that has entered takes so many bytes more."""
        self._bytes += size

    def leave(self, size: int) -> None:
        """A request has left, with all its bytes."""
        self._count -= 1
        self._bytes -= size
        self._left.set()
