"""Who holds which model: an rpc holds what it has found until it ends, so that nobody stops what it still needs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Holders:
    """How many rpcs hold one model. Lives in the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    async def none(self) -> None:
        """Wait until nobody holds the model."""
        while self.count:  # who waits is called a moment later
            await self._nobody.wait()

    def come(self) -> None:
        """One more holds it."""
        self.count += 1
        self._nobody.clear()

    def go(self) -> None:
        """One holds it no more."""
        self.count -= 1
        if not self.count:
            self._nobody.set()


class _Leases:
    """What one rpc holds, or one message of a stream, until it is over."""

    def __init__(self) -> None:
        self._held: list[Holders] = []
        self._over = False

    def take(self, holders: Holders) -> None:
        if not self._over and holders not in self._held:
            self._held.append(holders)
            holders.come()

    def close(self) -> None:
        # Contexts that outlive the rpc, those of its timers, may keep this object: it must keep no model.
        self._over = True
        held, self._held = self._held, []
        for holders in held:
            holders.go()


_LEASES: ContextVar[_Leases | None] = ContextVar("leases", default=None)
"""Those of the rpc that is being handled; None where nothing is held, since nobody could say until when."""


@contextmanager
def leases() -> Iterator[None]:
    """Have all models that are found in the block, in tasks of its own too, be held until the block has ended.

    For an rpc, and within it for each message of a stream that lasts: what a message finds is then its own.
    """
    own = _Leases()
    before = _LEASES.set(own)
    try:
        yield
    finally:
        _LEASES.reset(before)
        own.close()


def hold(holders: Holders) -> None:
    """Hold a model for as long as the rpc lasts that has found it."""
    if (own := _LEASES.get()) is not None:
        own.take(holders)
