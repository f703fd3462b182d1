"""Questions that any client may ask for nothing, as fast as they are answered: health, reflection (D11)."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import grpc.aio
from benchmarks.abuse.beside import beside
from benchmarks.abuse.elsewhere import elsewhere
from benchmarks.abuse.good import Served
from benchmarks.abuse.leftover import Leftover
from benchmarks.abuse.promise import Promise, at_least, exactly, told
from benchmarks.abuse.victim import TEXT, Victim, victim
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

SECONDS = 3.0  # for each kind
UNDER_WAY = 50
_DEADLINE = 10.0
_HEALTH = "/grpc.health.v1.Health/Check"
_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

Ask: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Questioned:
    """What came of the questions."""

    seconds: float
    """For each kind."""
    health: int
    """Answers."""
    reflection: int
    failures: tuple[str, ...]
    left: Leftover
    good: Served

    def promises(self) -> Iterator[Promise]:
        """They are answered, and nobody else notices."""
        yield at_least("checks of health answered a second", self.health / self.seconds, 1.0)
        yield at_least("reflections answered a second", self.reflection / self.seconds, 1.0)
        yield exactly("questions that failed", len(self.failures), 0)
        yield told("questions under way at a time", UNDER_WAY)
        yield from self.left.promises()
        yield from self.good.promises()


def run(scale: float) -> Questioned:
    """Ask."""
    with victim() as server:
        return question(server, SECONDS * scale)


def question(server: Victim, seconds: float, model: str = TEXT) -> Questioned:
    """Ask a server for so long about its health, and for so long about its services."""
    found = beside(
        server,
        attack=lambda: elsewhere(ask_all, server.address, seconds),
        warm_up=lambda: elsewhere(ask_all, server.address, seconds / 10),
        model=model,
    )
    answered, failures = found.value.value
    return Questioned(seconds, answered[_HEALTH], answered[_REFLECTION], failures, found.left, found.good)


def ask_all(address: str, seconds: float) -> tuple[Counter[str], tuple[str, ...]]:
    """Ask one kind of question after the other: the answers by method, and the failures."""
    return asyncio.run(_ask_all(address, seconds))


async def _ask_all(address: str, seconds: float) -> tuple[Counter[str], tuple[str, ...]]:
    answered, failures = Counter[str](), list[str]()

    async def ask_on(name: str, ask: Ask, end: float) -> None:
        while time.monotonic() < end:
            try:
                await ask()
            except grpc.aio.AioRpcError as error:
                failures.append(f"{name}: {error.code().name} {error.details()}")
            else:
                answered[name] += 1

    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        for name, ask in _kinds(channel):
            end = time.monotonic() + seconds
            await asyncio.gather(*(ask_on(name, ask, end) for _ in range(UNDER_WAY)))
    return answered, tuple(failures)


def _kinds(channel: "grpc.aio.Channel") -> Iterator[tuple[str, Ask]]:
    """The questions by their methods."""
    health: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_HEALTH)
    reflection: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(_REFLECTION)
    about = ServerReflectionRequest(list_services="*").SerializeToString()

    async def check() -> None:
        await health(HealthCheckRequest().SerializeToString(), timeout=_DEADLINE)

    async def reflect() -> None:
        async for _ in reflection(iter([about]), timeout=_DEADLINE):
            pass

    yield _HEALTH, check
    yield _REFLECTION, reflect
