"""Certificates that are renewed while the server serves: nobody fails, new handshakes see the new ones."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from rhapsode.v1.text_pb2 import GenerateTextRequest
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_server.serve import life
from rhapsode_server.serve.watching import Watch
from support import server as servers
from support.bundles import stepper
from support.certificates import Authority, authority
from support.requests import text
from support.server import Loaded, Running, load, running

ANYWHERE = "127.0.0.1:0"
PATIENCE = 60.0  # seconds for what takes some hundredths
LATER = datetime(2101, 1, 1, tzinfo=UTC)
REQUEST = GenerateTextRequest(generation=text(3))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    stepper().write(folder)
    return folder


@pytest.fixture(scope="module")
def texts(small: Path) -> Loaded:
    return load(small)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return authority(tmp_path / "others")


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files fifty times a second."""
    monkeypatch.setattr(life, "Watch", partial(Watch, interval=0.02))


@asynccontextmanager
async def secure(loaded: Loaded, ours: Authority, client_ca: Path | None = None) -> AsyncIterator[Running]:
    chain, key = ours.certificate("localhost")
    mutual = {"tls_client_ca": str(client_ca)} if client_ca else {}
    settings = {"tls_certificate": str(chain), "tls_key": str(key), **mutual}
    async with running(loaded, address=ANYWHERE, **settings) as server:
        yield server


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def serial_shown(address: str) -> int:
    """The serial number of the certificate that a new client sees."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port(address)), PATIENCE) as bare,
        context.wrap_socket(bare) as wrapped,
    ):
        return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True) or b"").serial_number


def serial_in(chain: Path) -> int:
    return x509.load_pem_x509_certificates(chain.read_bytes())[0].serial_number


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.01)


def logged(server: Running, message: str) -> list[str]:
    lines = [line for line in server.log_lines() if line["msg"] == message]
    return [str(line.get("reason", "")) for line in lines]


@dataclass
class Load:
    """Clients that call without a pause, with a new connection for each call or on one that stays."""

    address: str
    credentials: grpc.ChannelCredentials
    calls: int = 0
    failures: list[str] = field(default_factory=list)

    async def with_new_connections(self) -> None:
        while True:
            async with self._channel() as channel:
                await self._call(channel)

    async def on_one_connection(self) -> None:
        async with self._channel() as channel:
            while True:
                await self._call(channel)

    def _channel(self) -> grpc.aio.Channel:
        alone = [("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(f"localhost:{port(self.address)}", self.credentials, alone)

    async def _call(self, channel: grpc.aio.Channel) -> None:
        try:
            await TextServiceStub(channel).GenerateText(REQUEST, timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            self.failures.append(f"{error.code()}: {error.details()}")
        self.calls += 1


@asynccontextmanager
async def load_on(server: Running, credentials: grpc.ChannelCredentials) -> AsyncIterator[Load]:
    made = Load(server.address, credentials)
    callers = [asyncio.create_task(made.with_new_connections()) for _ in range(2)]
    callers.append(asyncio.create_task(made.on_one_connection()))
    yield made
    for caller in callers:
        caller.cancel()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(one) for one in ended} == {asyncio.CancelledError}


async def test_no_request_fails_while_certificates_are_renewed(texts: Loaded, ours: Authority) -> None:
    async with secure(texts, ours) as server, load_on(server, ours.credentials()) as load:
        for _ in range(3):
            await more_calls(load)
            chain, _key = ours.certificate("localhost")
            await until_shown(server, serial_in(chain))
        await more_calls(load)
    assert load.failures == []
    assert len(logged(server, "certificate reloaded")) == 3


async def more_calls(load: Load) -> None:
    before = load.calls
    await until(lambda: load.calls > before + 10)


async def until_shown(server: Running, serial: int) -> None:
    await until(lambda: serial_shown(server.address) == serial)


async def test_authorities_of_clients_are_renewed_and_standing_connections_stay(
    texts: Loaded, ours: Authority, others: Authority, tmp_path: Path
) -> None:
    trusted = tmp_path / "clients.pem"
    trusted.write_bytes(ours.roots.read_bytes())
    mine, theirs = ours.credentials("client"), stranger(ours, others)
    async with secure(texts, ours, trusted) as server:
        standing = grpc.aio.secure_channel(f"localhost:{port(server.address)}", mine)
        async with standing:
            await TextServiceStub(standing).GenerateText(REQUEST)
            assert not await can_call(server, theirs)
            put(trusted, others.roots.read_bytes())
            await until(lambda: logged(server, "certificate reloaded"))
            assert await can_call(server, theirs)
            assert not await can_call(server, mine)
            await TextServiceStub(standing).GenerateText(REQUEST)


def stranger(ours: Authority, others: Authority) -> grpc.ChannelCredentials:
    """A client who trusts our server, and whose own certificate is of other people."""
    chain, key = others.certificate("client")
    return grpc.ssl_channel_credentials(ours.roots.read_bytes(), key.read_bytes(), chain.read_bytes())


async def can_call(server: Running, credentials: grpc.ChannelCredentials) -> bool:
    load = Load(server.address, credentials)
    async with load._channel() as channel:
        await load._call(channel)
    return not load.failures


async def test_files_of_no_use_keep_the_old_ones_and_are_told_once(texts: Loaded, ours: Authority) -> None:
    async with secure(texts, ours) as server:
        chain, key = ours.folder / "localhost.pem", ours.folder / "localhost.key"
        before = serial_in(chain)
        issued = ours.authority.issue_cert("localhost")
        put(chain, issued.cert_chain_pems[0].bytes())  # its key is late
        await until(lambda: logged(server, "certificate not reloaded"))
        assert await asyncio.to_thread(serial_shown, server.address) == before
        assert await can_call(server, ours.credentials())
        put(key, b"nonsense")
        await until(lambda: len(logged(server, "certificate not reloaded")) == 2)
        put(key, issued.private_key_pem.bytes())
        await until_shown(server, serial_in(chain))
        reasons = logged(server, "certificate not reloaded")
        page = await server.page()
    assert reasons[0].startswith("--tls-key: is not that of the first certificate")
    assert "holds no private key" in reasons[1]
    assert len(reasons) == 2
    assert "rhapsode_tls_reload_failures_total 2.0" in page


def put(path: Path, data: bytes) -> None:
    """Have a file hold this from one moment to the next."""
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(data)
    fresh.replace(path)


async def test_when_it_ends_follows(texts: Loaded, ours: Authority) -> None:
    async with secure(texts, ours) as server:
        issued = ours.authority.issue_cert("localhost", not_after=LATER)
        (ours.folder / "localhost.pem").write_bytes(issued.cert_chain_pems[0].bytes())
        issued.private_key_pem.write_to_path(ours.folder / "localhost.key")
        await until(lambda: logged(server, "certificate reloaded"))
        page = await server.page()
    (line,) = [line for line in page.splitlines() if line.startswith("rhapsode_tls_cert_expiry")]
    assert float(line.split()[1]) == LATER.timestamp()


def test_every_worker_follows(small: Path, ours: Authority) -> None:
    chain, key = ours.certificate("localhost")
    words = ("--tls-certificate", str(chain), "--tls-key", str(key), "--workers", "2")
    with servers.process(small, *words) as server:
        ours.certificate("localhost")
        told = [server.until_logged("certificate reloaded")["worker"] for _ in range(2)]
        assert serial_shown(server.address) == serial_in(chain)
        assert server.stop() == 0
    assert sorted(told) == [1, 2]
