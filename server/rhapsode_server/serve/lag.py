"""How late the event loop is: the first sign of work in it that belongs in a thread."""

import asyncio
from collections import deque
from collections.abc import Callable

INTERVAL = 0.25
RECENT = 10.0


class RecentLag:
    """How late the event loop was in the last RECENT seconds of its turns."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._seen: deque[float] = deque(maxlen=round(RECENT / INTERVAL))

    def add(self, seconds: float) -> None:
        """Take a lateness, and pass it on."""
        self._seen.append(seconds)
        self._observe(seconds)

    def most(self) -> float:
        """The greatest, in seconds."""
        return max(self._seen, default=0.0)


async def watch_lag(observe: Callable[[float], None], interval: float = INTERVAL) -> None:
    """Tell `observe` again and again by how many seconds a sleep of `interval` seconds was too long."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        observe(max(0.0, loop.time() - due))
