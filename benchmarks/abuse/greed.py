"""One client that asks as fast as it can, beside others that ask within their share: who gets what (D2).

Three clients are processes with a token each: `greedy` keeps 200 requests under way, `modest` as many as its
share, `polite` one at a time. The same is measured without shares, to see what they are worth.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

import grpc
import grpc.aio
from benchmarks.abuse.elsewhere import begun, elsewhere
from benchmarks.abuse.promise import Promise, at_least, exactly, told
from benchmarks.abuse.victim import SHIPPED, TEXT, Victim, victim
from benchmarks.abuse.wire import TEXT_UNARY
from benchmarks.spread import percentile

from rhapsode.v1.text_pb2 import GenerateTextRequest, Stopping, TextGeneration

SECONDS = 20.0  # of each part
STARTS = 5.0  # seconds until all have begun
SHARE = 16
GREEDY, POLITE = 200, 1  # requests under way
PAUSE = 0.02  # seconds between two requests of the polite one
TOKENS = 256
DEADLINE = 30.0
NAMES = ("greedy", "modest", "polite")


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one client's requests."""

    served: int
    refused: int
    failures: tuple[str, ...]
    p99_ms: float
    refusal_ms: float
    """The median time of a refusal."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What three clients got from one server at the same time."""

    greedy: Asked
    modest: Asked
    polite: Asked

    @property
    def jain(self) -> float:
        """Jain's index of what the greedy and the modest one got: 1 is the same, 0.5 all for one."""
        got = (self.greedy.served, self.modest.served)
        squares = sum(each * each for each in got)
        return sum(got) ** 2 / (len(got) * squares) if squares else 0.0

    @property
    def failures(self) -> int:
        """Requests that ended with anything but a reply or the word that a share is used up."""
        return sum(len(each.failures) for each in (self.greedy, self.modest, self.polite))


@dataclass(frozen=True, slots=True)
class Greed:
    """The polite client by itself, and everybody with shares and without."""

    alone: Asked
    shared: Crowd
    unshared: Crowd

    def promises(self) -> Iterator[Promise]:
        """The flood costs whom it comes from."""
        yield at_least("Jain's index of two greedy clients with shares", self.shared.jain, 0.9)
        yield told("the same without shares", self.unshared.jain)
        yield at_least("requests of the polite client served", self.shared.polite.served, 1)
        yield exactly("requests of the polite client refused or failed", self._hurt, 0)
        yield exactly("other statuses", self.shared.failures, 0)
        yield told("requests of the flood refused", self.shared.greedy.refused)
        yield told("a refusal, median", self.shared.greedy.refusal_ms, "ms")
        yield told("the polite client's p99 by itself", self.alone.p99_ms, "ms")
        yield told("the polite client's p99 beside the flood", self.shared.polite.p99_ms, "ms")
        yield told("the polite client's p99 beside the flood, without shares", self.unshared.polite.p99_ms, "ms")

    @property
    def _hurt(self) -> int:
        return self.shared.polite.refused + len(self.shared.polite.failures)


def run(scale: float) -> Greed:
    """Flood a server."""
    return flood(SECONDS * scale)


def flood(seconds: float, model: str = TEXT, folder: Path = SHIPPED) -> Greed:
    """Flood a server for so long with shares, and for so long without."""
    with tempfile.TemporaryDirectory() as made:
        access = _access_file(Path(made))
        with victim(f"--access={access}", f"--client-concurrency={SHARE}", folder=folder, names=(model,)) as server:
            alone = elsewhere(ask, server.address, "polite", POLITE, PAUSE, seconds, model).value
            shared = _crowd(server, seconds, model)
        with victim(f"--access={access}", folder=folder, names=(model,)) as server:
            return Greed(alone, shared, _crowd(server, seconds, model))


def _crowd(server: Victim, seconds: float, model: str) -> Crowd:
    begin = time.monotonic() + STARTS  # a clock of the machine, not of a process
    kinds = (("greedy", GREEDY, 0.0), ("modest", SHARE, 0.0), ("polite", POLITE, PAUSE))
    with ExitStack() as stack:
        futures = [
            stack.enter_context(begun(ask, server.address, name, under_way, pause, seconds, model, begin))
            for name, under_way, pause in kinds
        ]
        return Crowd(*(future.result().value for future in futures))


def ask(
    address: str, token: str, under_way: int, pause: float, seconds: float, model: str, begin: float = 0.0
) -> Asked:
    """Keep so many requests under way for so long from `begin` on, heeding no advice; what ends from then on counts."""
    begin = begin or time.monotonic()
    return asyncio.run(Asking(address, token, model).ask(under_way, pause, begin, begin + seconds))


class Asking:
    """A client of one server, with one token."""

    def __init__(self, address: str, token: str, model: str) -> None:
        generation = TextGeneration(model=model, seed=1, stopping=Stopping(max_tokens=TOKENS))
        self._request = GenerateTextRequest(generation=generation).SerializeToString()
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._address = address
        self._served: list[float] = []
        self._refused: list[float] = []
        self._failures: Counter[str] = Counter()

    async def ask(self, under_way: int, pause: float, begin: float, end: float) -> Asked:
        """Ask on until the end; what ends from `begin` on counts."""
        async with grpc.aio.insecure_channel(self._address, (("grpc.enable_retries", 0),)) as channel:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(TEXT_UNARY)
            await asyncio.gather(*(self._keep_asking(call, pause, begin, end) for _ in range(under_way)))
        return Asked(
            len(self._served),
            len(self._refused),
            tuple(f"{count} × {what}" for what, count in self._failures.items()),
            percentile(sorted(self._served), 0.99) * 1e3 if self._served else 0.0,
            median(self._refused or [0.0]) * 1e3,
        )

    async def _keep_asking(
        self, call: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]", pause: float, begin: float, end: float
    ) -> None:
        while (now := time.monotonic()) < end:
            times = await self._ask_once(call)
            if times is not None and (ended := time.monotonic()) >= begin:
                times.append(ended - now)
            await asyncio.sleep(pause)

    async def _ask_once(self, call: "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]") -> list[float] | None:
        """Ask: to what its time belongs."""
        try:
            await call(self._request, metadata=self._metadata, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                return self._refused
            self._failures[error.code().name] += 1
            return None
        return self._served


def _access_file(folder: Path, names: Sequence[str] = NAMES) -> Path:
    """Clients whose tokens are their names: nobody else comes to this server."""
    entries = (
        f'[[clients]]\nname = "{name}"\ntokens = [{{ sha256 = "{sha256(name.encode()).hexdigest()}" }}]\n'
        'methods = ["*"]\nmodels = ["*"]\n'
        for name in names
    )
    path = folder / "access.toml"
    path.write_text("\n".join(entries), encoding="utf-8")
    return path
