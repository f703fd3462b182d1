"""Clients are known by the names in their certificates, where they show no token."""

import datetime
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from support import bundles
from support.access import bearer, entry, write
from support.certificates import Authority, authority
from support.raw_calls import Headers, code_raw
from support.server import Loaded, Running, load, running

LIST = "/rhapsode.v1.ModelService/ListModels"
SPIFFE = "spiffe://example.org/gallery"
OK, UNAUTHENTICATED, DENIED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("models")
    bundles.stepper().write(folder)
    return load(folder)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return authority(tmp_path / "ours")


def shown(ours: Authority, common_name: str, *names: x509.GeneralName) -> grpc.ChannelCredentials:
    """A client's certificate of that common name, with alternative names if any are given."""
    authority = ours.authority
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    chain = builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return grpc.ssl_channel_credentials(ours.roots.read_bytes(), private, chain)


async def code(
    server: Running, credentials: grpc.ChannelCredentials, headers: Headers = (), path: str = LIST
) -> grpc.StatusCode:
    async with grpc.aio.secure_channel(f"localhost:{server.address.rpartition(':')[2]}", credentials) as channel:
        return await code_raw(channel, path, headers, b"")


async def test_names_in_certificates_are_credentials(models: Loaded, ours: Authority, tmp_path: Path) -> None:
    chain, key = ours.certificate("localhost")
    access = write(
        tmp_path / "access.toml",
        entry("workload", certificates=[SPIFFE]),
        entry("machine", certificates=["machine.example.org"]),
        entry("person", "a-token", certificates=["Ada"], methods=["rhapsode.v1.ModelService"]),
    )
    tls = {"tls_certificate": str(chain), "tls_key": str(key), "tls_client_ca": str(ours.roots)}
    async with running(models, address="127.0.0.1:0", access=access, **tls) as server:
        workload = shown(ours, "workload", x509.UniformResourceIdentifier(SPIFFE))
        machine = shown(ours, "nobody", x509.DNSName("other.example.org"), x509.DNSName("machine.example.org"))
        person, stranger = shown(ours, "Ada"), shown(ours, "stranger")
        disguised = shown(ours, "Ada", x509.DNSName("elsewhere.example.org"))
        mail = shown(ours, "x", x509.RFC822Name("machine.example.org@machine.example.org"))
        for credentials in (workload, machine, person):
            assert await code(server, credentials) is OK
        for credentials in (stranger, disguised, mail):
            assert await code(server, credentials) is UNAUTHENTICATED
            assert await code(server, credentials, path="/nothing/Nothing") is UNAUTHENTICATED
        # A token goes before a certificate, for better or worse.
        assert await code(server, stranger, bearer("a-token")) is OK
        assert await code(server, workload, bearer("another-token")) is UNAUTHENTICATED
        assert await code(server, person, path="/rhapsode.v1.TextService/GenerateText") is DENIED
        assert await code(server, workload, path="/nothing/Nothing") is grpc.StatusCode.UNIMPLEMENTED
        assert await code(server, stranger, path="/grpc.health.v1.Health/Check") is OK
        clients = {line.get("client") for line in server.log_lines() if line["msg"] == "rpc"}
    assert {"workload", "machine", "person"} <= clients
