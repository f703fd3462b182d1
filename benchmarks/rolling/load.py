"""Requests of every kind, made again and again until they are told to stop, each answer compared with the right one."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from benchmarks.rolling.kinds import Items, Kinds, Take, TakeAsync

from rhapsode_client import AsyncClient, ChannelSettings, Client, RhapsodeError
from rhapsode_client.addresses import Address

SEEDS = range(2)
HELD = 2  # the seed of streams that are held
_PATIENCE = 120.0  # seconds until a stream that is to be held has begun

Answers: TypeAlias = Mapping[tuple[str, int], bytes]  # by kind and seed


@dataclass
class Tally:
    """What came of the requests, by kind. Counted by many threads."""

    done: Counter[str] = field(default_factory=Counter)
    size: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str, answer: bytes | RhapsodeError, expected: bytes) -> None:
        """Note an answer, or the lack of one."""
        with self._lock:
            self.done[kind] += 1
            if isinstance(answer, RhapsodeError):
                self.failed.append(f"{kind}: {type(answer).__name__} {answer.code} {answer.reason} {answer}")
            else:
                self.size[kind] += len(answer)
                if answer != expected:
                    self.changed.append(f"{kind}: {len(answer)} bytes, {len(expected)} expected")

    def made(self, sort: str) -> int:
        """Requests that came to an end, of the kinds whose name begins so."""
        return sum(count for kind, count in self.done.items() if kind.startswith(sort))

    def bytes_of(self, sort: str) -> int:
        """Bytes that such requests brought."""
        return sum(size for kind, size in self.size.items() if kind.startswith(sort))


def right_answers(client: Client, kinds: Kinds) -> Answers:
    """What each request gives while nothing disturbs it."""
    answers = {(kind, seed): take(client, seed) for kind, take in kinds.sync.items() for seed in SEEDS}
    return answers | {(kind, HELD): b"".join(items(client, HELD)) for kind, items in kinds.held.items()}


class Load:
    """Clients of both sorts with every kind of request each, and streams that are held: begun before the first restart,
    read on after the last.
    """

    def __init__(self, address: Address, kinds: Kinds, answers: Answers, settings: ChannelSettings) -> None:
        self.tally = Tally()
        self._address = address
        self._kinds = kinds
        self._answers = answers
        self._settings = settings
        self._over = threading.Event()
        self._held = threading.Semaphore(0)

    @contextmanager
    def running(self) -> Iterator[Tally]:
        """Ask until the block is left; then let every request come to its end."""
        with Client(self._address, self._settings) as client:
            threads = [threading.Thread(target=self._ask_async)]
            for kind, take in self._kinds.sync.items():
                threads.append(threading.Thread(target=self._ask, args=(client, kind, take)))
            for kind, items in self._kinds.held.items():
                threads.append(threading.Thread(target=self._hold, args=(client, kind, items)))
            for thread in threads:
                thread.start()
            try:
                for _ in self._kinds.held:
                    self._held.acquire(timeout=_PATIENCE)
                yield self.tally
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()

    def _ask(self, client: Client, kind: str, take: Take) -> None:
        number = 0
        while not self._over.is_set():
            seed = SEEDS[number % len(SEEDS)]
            number += 1
            self._count(kind, seed, partial(take, client, seed))

    def _hold(self, client: Client, kind: str, items: Items) -> None:
        def take() -> bytes:
            stream = items(client, HELD)
            first = next(stream)
            self._held.release()
            self._over.wait()
            return first + b"".join(stream)

        self._count(kind, HELD, take)

    def _count(self, kind: str, seed: int, take: Callable[[], bytes]) -> None:
        try:
            answer: bytes | RhapsodeError = take()
        except RhapsodeError as error:
            answer = error
        self.tally.count(kind, answer, self._answers[kind, seed])

    def _ask_async(self) -> None:
        asyncio.run(self._ask_all())

    async def _ask_all(self) -> None:
        async with AsyncClient(self._address, self._settings) as client, asyncio.TaskGroup() as group:
            for kind, take in self._kinds.asynchronous.items():
                group.create_task(self._ask_one(client, kind, take))

    async def _ask_one(self, client: AsyncClient, kind: str, take: TakeAsync) -> None:
        number = 0
        while not self._over.is_set():
            seed = SEEDS[number % len(SEEDS)]
            number += 1
            try:
                answer: bytes | RhapsodeError = await take(client, seed)
            except RhapsodeError as error:
                answer = error
            self.tally.count(kind, answer, self._answers[kind, seed])
