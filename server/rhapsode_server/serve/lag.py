"""How late the event loop is: the first sign of work in it that belongs in a thread."""

import asyncio
from collections.abc import Callable

INTERVAL = 0.25


async def watch_lag(observe: Callable[[float], None], interval: float = INTERVAL) -> None:
    """Tell `observe` again and again by how many seconds a sleep of `interval` seconds was too long."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval
        await asyncio.sleep(interval)
        observe(max(0.0, loop.time() - due))
