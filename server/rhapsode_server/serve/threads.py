"""Between the event loop and other threads: what those do for it, what they have it do."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
LEFT_BEHIND = "beside-"
"""Begins the names of threads whose work is waited for by nobody where the process is to end."""


def tell(loop: asyncio.AbstractEventLoop, what: Callable[[], object]) -> None:
    """Have it done soon; not at all once the loop is closed, since the server has stopped then."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(what)


async def beside(what: str, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
    """Have work done by a thread of its own, named after it; who waits no longer leaves it to itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work(*given, **named)
        except BaseException as error:
            tell(loop, partial(_settle, done, done.set_exception, error))
        else:
            tell(loop, partial(_settle, done, done.set_result, result))

    Thread(target=run, name=f"{LEFT_BEHIND}{what}", daemon=True).start()
    return await done


def _settle(done: "asyncio.Future[T]", settle: Callable[..., object], outcome: object) -> None:
    if not done.done():
        settle(outcome)
