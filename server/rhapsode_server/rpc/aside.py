"""Waits in the event loop for work in a thread, for as long as anything of the work is kept."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def aside(threads: Executor, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Have work done by one of the threads.

    A wait that is cancelled ends at once where the work has not begun, which is then dropped; else it ends with the
    work, since nothing can end that. One that is cancelled again waits no longer.
    """
    future = threads.submit(work, *given, **named)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        if not future.cancel():
            with suppress(Exception):  # nobody asks any more what came of it
                await asyncio.shield(asyncio.wrap_future(future))
        raise
