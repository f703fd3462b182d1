"""Reading long texts aside, so that the event loop goes on meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")
AT_ONCE = 4096  # characters: a few milliseconds at the most


async def read(characters: int, reading: Callable[[], ResultT]) -> ResultT:
    """What `reading` gives, which looks at so many characters; in a thread of its own where these are many."""
    return reading() if characters <= AT_ONCE else await asyncio.to_thread(reading)
