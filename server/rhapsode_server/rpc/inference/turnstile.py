"""Lets requests of streams into a lane: a few at a time, so that the lane's queue is left to others.

Connections take turns, so that one with a hundred requests does not hold up those that have one each.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias
from weakref import WeakKeyDictionary

from rhapsode_server.config import Config
from rhapsode_server.errors import DeadlineExpired
from rhapsode_server.rpc.served import TensorDriver

_Turn: TypeAlias = "asyncio.Future[None]"


class Turnstiles:
    """Of all lanes, each with the same number of places."""

    def __init__(self, config: Config) -> None:
        slots = config.slots or config.max_batch
        # The slots, and the next run: a lane need not wait for us. Never more than half of the queue.
        self._most = slots + min(slots, config.queue // 2)
        self._kept: WeakKeyDictionary[TensorDriver, Turnstile] = WeakKeyDictionary()

    def place(self, driver: TensorDriver, connection: str, until: float) -> AbstractAsyncContextManager[None]:
        """A place in a lane, as `Turnstile.place` gives it."""
        kept = self._kept.get(driver)
        if kept is None:
            kept = self._kept[driver] = Turnstile(self._most)
        return kept.place(connection, until)


class Turnstile:
    """Of one lane. Lives in the event loop."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._waiting: dict[str, deque[_Turn]] = {}  # by connection; the first is the next

    def __repr__(self) -> str:
        """Say how many places are free, and how many requests wait."""
        return f"Turnstile({self._free} free, {sum(map(len, self._waiting.values()))} waiting)"

    @asynccontextmanager
    async def place(self, connection: str, until: float) -> AsyncIterator[None]:
        """Be in the lane for the block, once it is the connection's turn. Raises DeadlineExpired at `until`."""
        if self._free:
            self._free -= 1
        else:
            await self._turn(connection, until)
        try:
            yield
        finally:
            self._pass_on()

    async def _turn(self, connection: str, until: float) -> None:
        turn: _Turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(connection, deque()).append(turn)
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            self._forget(connection, turn)
            if isinstance(error, TimeoutError):
                raise DeadlineExpired("the deadline passed while the request waited for others of streams") from None
            raise

    def _forget(self, connection: str, turn: _Turn) -> None:
        turns = self._waiting.get(connection, deque())
        if turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[connection]

    def _pass_on(self) -> None:
        """Give a place to the first that waits of the connection whose turn it is."""
        while self._waiting:
            connection = next(iter(self._waiting))
            turns = self._waiting.pop(connection)
            while turns and turns[0].done():  # they have left
                turns.popleft()
            if turns:
                turns.popleft().set_result(None)
                if turns:
                    self._waiting[connection] = turns  # behind all others
                return
        self._free += 1
