"""Requests for a model that is being loaded: who has the time waits for it, others are told when to come back."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from rhapsode_server.errors import ModelLoading, ShuttingDown
from rhapsode_server.repository.loading import LoadedModel
from rhapsode_server.repository.residents import Key, Residents, State

MOST_WAITERS = 64  # for one model: each has its request in memory
USUAL = 5.0  # seconds that a load is expected to take of a model that was not loaded before
LEAST = 0.5  # seconds that a load which takes longer than expected is expected to take still
SPARE = 0.25  # seconds before a client's deadline in which it can still be told why it waited in vain


class Arrivals:
    """Who waits for which model. Lives in the event loop; has to be told of all that changes."""

    def __init__(self, residents: Residents[LoadedModel], clock: Callable[[], float] = time.monotonic) -> None:
        self._residents = residents
        self._clock = clock
        self._begun: dict[Key, float] = {}
        self._took: dict[str, float] = {}
        self._waiters: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._over = False

    def changed(self, key: Key) -> None:
        """Take note that something of a version has changed."""
        status = self._residents.status(key)
        if status.loading:
            self._begun[key] = self._clock()  # anew where its turn has come
        elif key in self._begun:
            seconds = self._clock() - self._begun.pop(key)
            if not status.problem:
                self._took[key[0]] = seconds
        self._wake()

    @property
    def any(self) -> bool:
        """Whether anything is being loaded."""
        return bool(self._begun)

    def waiters(self, name: str) -> int:
        """How many wait for a model, whatever version."""
        return self._waiters[name]

    def check(self, reference: str) -> None:
        """Raise where a reference means what is being loaded, and nothing is served in its place.

        ModelLoading, or ShuttingDown where nobody may wait for it any more.
        """
        if key := self._coming(reference):
            raise self._refusal(key)

    async def wait(self, reference: str, seconds: float | None) -> None:
        """Wait while a reference means what is being loaded, for a client whose deadline is in so many seconds.

        Raises ModelLoading where it has not the time, or as many wait as may; ShuttingDown where the server stops.
        """
        name, key = reference.partition("@")[0], self._coming(reference)
        if key and self._waiters[name] >= MOST_WAITERS:
            raise self._refusal(key)
        until = None if seconds is None else self._clock() + seconds - SPARE
        self._waiters[name] += 1
        try:
            while key := self._coming(reference):
                if self._over or until is None or self._clock() + self._left(key) > until:
                    raise self._refusal(key)
                await self._news(until)
        finally:
            self._waiters -= Counter((name,))  # which keeps no zeros

    def close(self) -> None:
        """Let nobody wait any more: the server stops, and what is being loaded by then never comes."""
        self._over = True
        self._wake()

    async def _news(self, until: float) -> None:
        """Wait for any change, or until then."""
        changed = self._changed
        try:
            async with asyncio.timeout(max(0.0, until - self._clock())):
                await changed.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _coming(self, reference: str) -> Key | None:
        """The version that a reference means, where it is being loaded and nothing is served in its place."""
        key = self._residents.key(reference) if self._begun else None
        return key if key in self._begun and self._residents.status(key).state is State.LOADING else None

    def _left(self, key: Key) -> float:
        """Seconds that a load is expected to take still."""
        return max(LEAST, self._begun[key] + self._took.get(key[0], USUAL) - self._clock())

    def _refusal(self, key: Key) -> ModelLoading | ShuttingDown:
        if self._over:
            return ShuttingDown("the server is about to stop")
        name, version = key
        return ModelLoading(
            f"{name}@{version} is being loaded", {"model": name, "version": str(version)}, round(self._left(key), 3)
        )
