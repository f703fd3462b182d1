"""Certificates that are renewed while clients call, on connections that stay and on new ones."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc
import grpc.aio
import trustme
from benchmarks.abuse import asked
from benchmarks.abuse.elsewhere import begun
from benchmarks.abuse.promise import Promise, at_least, exactly, told
from benchmarks.abuse.victim import SHIPPED, TEXT, Victim, victim
from benchmarks.abuse.wire import TEXT_STREAM, TEXT_UNARY
from deploy.child import saying

RENEWALS = 3
AT_ONCE = 4  # clients of each sort
SHORT, LONG = 8, 200  # tokens
_DEADLINE = 30.0
_AFTERWARDS = 1.0  # seconds
_HOST = "127.0.0.1"
_CHAIN, _KEY = "chain.pem", "key.pem"

Kind: TypeAlias = "Callable[[grpc.aio.Channel], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Called:
    """What clients did meanwhile."""

    requests: int
    streams: int
    handshakes: int
    """New connections, each of which made a request."""
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What renewals did to them."""

    renewals: int
    """That the server took up."""
    called: Called

    def promises(self) -> Iterator[Promise]:
        """Nobody notices."""
        yield told("renewals of the certificate", self.renewals)
        yield at_least("requests on connections that stay, meanwhile", self.called.requests, 1)
        yield at_least("streams on connections that stay, meanwhile", self.called.streams, 1)
        yield at_least("new connections with a request each, meanwhile", self.called.handshakes, 1)
        yield exactly("of them all failed", len(self.called.failures), 0)
        yield told("clients", 3 * AT_ONCE)


def run(scale: float) -> Rotated:
    """Renew."""
    return rotate(max(1, round(RENEWALS * scale)))


def rotate(renewals: int, model: str = TEXT, folder: Path = SHIPPED) -> Rotated:
    """Renew a server's certificate so often under load."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as made:
        files, over = Path(made), Path(made) / "over"
        _issue(authority, files)
        flags = f"--tls-certificate={files / _CHAIN}", f"--tls-key={files / _KEY}"
        with victim(*flags, folder=folder, names=(model,)) as server:
            roots = authority.cert_pem.bytes()
            with begun(call, server.address, roots, over, model) as future:
                try:
                    for _ in range(renewals):
                        _renew(authority, files, server)
                finally:
                    over.touch()
                return Rotated(renewals, future.result().value)


def _issue(authority: trustme.CA, folder: Path) -> None:
    """Put a new certificate and its key in the place of those that are there, at once each."""
    issued = authority.issue_cert(_HOST)
    for name, content in (
        (_KEY, issued.private_key_pem.bytes()),
        (_CHAIN, b"".join(blob.bytes() for blob in issued.cert_chain_pems)),
    ):
        new = folder / f"new-{name}"
        new.write_bytes(content)
        new.replace(folder / name)


def _renew(authority: trustme.CA, folder: Path, server: Victim) -> None:
    """Renew, and wait until the server says that it has taken it up; clients call on for a moment."""
    _issue(authority, folder)
    server.child.until(saying("certificate reloaded"))
    time.sleep(_AFTERWARDS)


def call(address: str, roots: bytes, over: Path, model: str) -> Called:
    """Call again and again until there is a file."""
    return asyncio.run(_Caller(address, roots, over, model).call())


class _Caller:
    """Clients of three sorts."""

    def __init__(self, address: str, roots: bytes, over: Path, model: str) -> None:
        self._address = address
        self._roots = roots
        self._over = over
        self._short, self._long = asked.text(SHORT, model), asked.text_stream(LONG, model)
        self._failures: list[str] = []

    async def call(self) -> Called:
        """Until it is over: what was done."""
        kinds = (self._ask, self._stream, self._connect)
        done = await asyncio.gather(*(self._repeat(kind) for kind in kinds for _ in range(AT_ONCE)))
        requests, streams, handshakes = (sum(done[first : first + AT_ONCE]) for first in range(0, len(done), AT_ONCE))
        return Called(requests, streams, handshakes, tuple(self._failures))

    async def _repeat(self, kind: Kind) -> int:
        """Do one thing again and again until it is over: how often."""
        count = 0
        async with self._channel() as channel:
            while not self._over.exists():
                count += 1
                try:
                    await kind(channel)
                except grpc.aio.AioRpcError as error:
                    self._failures.append(f"{error.code().name}: {error.details()}")
        return count

    async def _ask(self, channel: "grpc.aio.Channel") -> None:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(TEXT_UNARY)
        await ask(self._short, timeout=_DEADLINE)

    async def _stream(self, channel: "grpc.aio.Channel") -> None:
        ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(TEXT_STREAM)
        async for _ in ask(self._long, timeout=_DEADLINE):
            pass

    async def _connect(self, _: "grpc.aio.Channel") -> None:
        async with self._channel() as channel:
            await self._ask(channel)

    def _channel(self) -> "grpc.aio.Channel":
        options = (("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1))
        return grpc.aio.secure_channel(self._address, grpc.ssl_channel_credentials(self._roots), options)
