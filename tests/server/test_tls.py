"""The server's certificate: shown to clients, asked of clients, and refused at the start where it is of no use."""

import datetime
import os
import subprocess
from codecs import BOM_UTF8
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rhapsode.v1.text_pb2 import GenerateTextRequest
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from rhapsode_client import Client, errors
from rhapsode_client.channel import ChannelSettings, Tls
from rhapsode_client.retry import RetryPolicy
from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError
from rhapsode_server.serve.tls import read_tls
from support import server as servers
from support.certificates import Authority, authority
from support.requests import text
from support.server import Loaded, Running, running

ANYWHERE = "127.0.0.1:0"
Key = EllipticCurvePrivateKey | Ed25519PrivateKey


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return authority(tmp_path / "others")


def flags(chain: Path, key: Path) -> dict[str, str]:
    return {"tls_certificate": str(chain), "tls_key": str(key)}


async def code_of_a_call(server: Running, credentials: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    port = server.address.rpartition(":")[2]
    address = f"localhost:{port}"
    channel = (
        grpc.aio.secure_channel(address, credentials) if credentials else grpc.aio.insecure_channel(server.address)
    )
    async with channel:
        try:
            await TextServiceStub(channel).GenerateText(GenerateTextRequest(generation=text(3)), timeout=30)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def test_clients_that_trust_the_authority_are_served_and_others_are_not(
    loaded: Loaded, ours: Authority, others: Authority
) -> None:
    async with running(loaded, address=ANYWHERE, **flags(*ours.certificate("localhost"))) as server:
        assert await code_of_a_call(server, ours.credentials()) == grpc.StatusCode.OK
        assert await code_of_a_call(server, others.credentials()) == grpc.StatusCode.UNAVAILABLE
        assert await code_of_a_call(server, None) == grpc.StatusCode.UNAVAILABLE
        assert await code_of_a_call(server, ours.credentials()) == grpc.StatusCode.OK


async def test_clients_must_show_a_certificate_where_authorities_are_named(
    loaded: Loaded, ours: Authority, others: Authority
) -> None:
    mutual = {**flags(*ours.certificate("localhost")), "tls_client_ca": str(ours.roots)}
    stranger = grpc.ssl_channel_credentials(
        ours.roots.read_bytes(), *(path.read_bytes() for path in reversed(others.certificate("client")))
    )
    async with running(loaded, address=ANYWHERE, **mutual) as server:
        assert await code_of_a_call(server, ours.credentials("client")) == grpc.StatusCode.OK
        assert await code_of_a_call(server, ours.credentials()) == grpc.StatusCode.UNAVAILABLE
        assert await code_of_a_call(server, stranger) == grpc.StatusCode.UNAVAILABLE


def test_the_library_speaks_it(models_folder: Path, ours: Authority) -> None:
    chain, key = ours.certificate("localhost")
    client_chain, client_key = (path.read_bytes() for path in ours.certificate("client"))
    words = ("--tls-certificate", str(chain), "--tls-key", str(key), "--tls-client-ca", str(ours.roots))
    with servers.process(models_folder, *words) as server:
        address = f"localhost:{server.address.rpartition(':')[2]}"
        tls = Tls(ours.roots.read_bytes(), client_key, client_chain)
        with Client(address, ChannelSettings(tls=tls)) as client:
            assert client.models()
        once = ChannelSettings(tls=Tls(ours.roots.read_bytes()), retry=RetryPolicy(attempts=1))
        with Client(address, once) as client, pytest.raises(errors.ConnectionLost):
            client.models()


async def test_the_page_says_when_it_ends(loaded: Loaded, ours: Authority) -> None:
    tls = read_tls(Config.model_validate(flags(*ours.certificate("localhost"))))
    assert tls is not None
    async with running(
        loaded, address=ANYWHERE, metrics_address=ANYWHERE, **flags(*ours.certificate("localhost"))
    ) as server:
        found = [line for line in (await server.page()).splitlines() if line.startswith("rhapsode_tls_cert_expiry")]
    assert float(found[0].split()[1]) == tls.expires.timestamp()


async def test_a_certificate_that_has_expired_is_said_in_the_log(loaded: Loaded, ours: Authority) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    issued = ours.authority.issue_cert("localhost", not_before=past - datetime.timedelta(days=9), not_after=past)
    chain, key = ours.folder / "old.pem", ours.folder / "old.key"
    chain.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    async with running(loaded, address=ANYWHERE, **flags(chain, key)) as server:
        assert doubts(server) == ["it has expired on 2020-01-01T00:00:00+00:00"]


async def test_one_that_is_not_valid_yet_or_whose_chain_is_broken_is_said_too(
    loaded: Loaded, ours: Authority, others: Authority
) -> None:
    soon = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)
    issued = ours.authority.issue_cert("localhost", not_before=soon, not_after=soon + datetime.timedelta(days=9))
    chain, key = ours.folder / "early.pem", ours.folder / "early.key"
    chain.write_bytes(issued.cert_chain_pems[0].bytes() + others.roots.read_bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    async with running(loaded, address=ANYWHERE, **flags(chain, key)) as server:
        assert doubts(server) == [
            "it is not valid before 2100-01-01T00:00:00+00:00",
            "its chain has a certificate that did not issue the one before it",
        ]


def doubts(server: Running) -> list[str]:
    told = [line for line in server.log_lines() if line["msg"] == "certificate"]
    assert all(line["level"] == "warning" for line in told)
    return [line["reason"] for line in told]


def refused(**files: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_tls(Config.model_validate({name: str(path) for name, path in files.items()}))
    return caught.value.message


def test_a_pipe_is_refused_and_not_waited_for(ours: Authority, tmp_path: Path) -> None:
    """Each worker reads the files anew, and would find nothing in it."""
    chain, _ = ours.certificate("localhost")
    os.mkfifo(tmp_path / "pipe")
    assert refused(tls_certificate=chain, tls_key=tmp_path / "pipe") == (
        f"--tls-key: {tmp_path}/pipe is no regular file, and it is read more than once"
    )


def test_what_is_of_no_use_alone_is_refused(ours: Authority) -> None:
    chain, key = ours.certificate("localhost")
    assert refused(tls_certificate=chain).endswith("one is of no use without the other")
    assert refused(tls_key=key).endswith("one is of no use without the other")
    assert refused(tls_client_ca=ours.roots) == "--tls-client-ca: needs --tls-certificate and --tls-key"


def test_files_that_are_not_what_they_should_be_are_refused(ours: Authority, tmp_path: Path) -> None:
    chain, key = ours.certificate("localhost")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    empty = tmp_path / "empty.pem"
    empty.touch()
    for bad in (nonsense, empty, key):
        assert refused(tls_certificate=bad, tls_key=key) == f"--tls-certificate: {bad} holds no certificates in PEM"
        assert refused(tls_certificate=chain, tls_key=key, tls_client_ca=bad).startswith(f"--tls-client-ca: {bad} ")
    for bad in (nonsense, empty, chain):
        assert refused(tls_certificate=chain, tls_key=bad).startswith(f"--tls-key: {bad} holds no private key")
    missing = tmp_path / "missing.pem"
    assert refused(tls_certificate=missing, tls_key=key).endswith("cannot be read: No such file or directory")
    assert refused(tls_certificate=tmp_path, tls_key=key).endswith("is no regular file, and it is read more than once")
    large = tmp_path / "large.pem"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    assert refused(tls_certificate=large, tls_key=key).endswith("large.pem has more than 1 MiB")
    marked = tmp_path / "marked.pem"
    marked.write_bytes(BOM_UTF8 + chain.read_bytes())
    assert "begins with a byte order mark" in refused(tls_certificate=marked, tls_key=key)


def test_all_that_is_wrong_with_them_is_told_at_once(ours: Authority, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    chain, key = ours.certificate("localhost")
    told = refused(tls_certificate=missing, tls_key=chain, tls_client_ca=key).splitlines()
    assert [line.partition(":")[0] for line in told] == ["--tls-certificate", "--tls-key", "--tls-client-ca"]


def test_a_key_of_another_certificate_or_with_a_passphrase_is_refused(ours: Authority, tmp_path: Path) -> None:
    chain, _ = ours.certificate("localhost")
    _, other = ours.certificate("elsewhere")
    assert refused(tls_certificate=chain, tls_key=other).startswith("--tls-key: is not that of the first certificate")
    locked = tmp_path / "locked.key"
    made = generate_private_key(65537, 2048)
    locked.write_bytes(
        made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"not told to anybody"))
    )
    assert "holds no private key (PEM, without a passphrase" in refused(tls_certificate=chain, tls_key=locked)


@pytest.mark.parametrize("curve", [SECP256R1(), SECP384R1()], ids=lambda curve: curve.name)
async def test_clients_take_a_key_on_these_curves(loaded: Loaded, ours: Authority, curve: EllipticCurve) -> None:
    chain, key = self_signed(ours.folder, generate_ec_key(curve))
    async with running(loaded, address=ANYWHERE, **flags(chain, key)) as server:
        credentials = grpc.ssl_channel_credentials(chain.read_bytes())
        assert await code_of_a_call(server, credentials) == grpc.StatusCode.OK


@pytest.mark.parametrize(
    "key", [generate_ec_key(SECP521R1()), generate_ec_key(SECP256K1()), Ed25519PrivateKey.generate()]
)
def test_a_key_that_clients_refuse_is_refused(
    ours: Authority, key: EllipticCurvePrivateKey | Ed25519PrivateKey
) -> None:
    chain, path = self_signed(ours.folder, key)
    assert "RSA, or ECDSA on P-256 or P-384" in refused(tls_certificate=chain, tls_key=path)


def self_signed(folder: Path, key: Key) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority, and its key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, None if isinstance(key, Ed25519PrivateKey) else SHA256())
    )
    chain, path = folder / "own.pem", folder / "own.key"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, path


def test_the_command_ends_with_two_before_it_loads_anything(one_model: Path) -> None:
    words = servers.command("--models", str(one_model), "--tls-certificate", "no-such.pem", "--tls-key", "no-such.key")
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=servers.clean_environment())
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "--tls-certificate: no-such.pem cannot be read: No such file or directory",
        "--tls-key: no-such.key cannot be read: No such file or directory",
    ]
