"""Has the event loop do what another thread found to do."""

import asyncio
from collections.abc import Callable
from contextlib import suppress


def tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    """Have it done soon; not at all once the loop is closed, since the server has stopped then."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(what)
