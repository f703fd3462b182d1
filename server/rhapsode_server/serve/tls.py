"""The server's certificate: read, and checked as a whole."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError

ReadT = TypeVar("ReadT")
LARGEST = 1 << 20  # bytes of a file
CURVES = ("secp256r1", "secp384r1")  # clients of gRPC refuse the larger P-521 and Ed25519
_CERTIFICATES = "holds no certificates in PEM"
_WANTED: Mapping[str, str] = MappingProxyType(
    {
        "--tls-certificate": _CERTIFICATES,
        "--tls-key": "holds no private key (PEM, without a passphrase; RSA, or ECDSA on P-256 or P-384)",
        "--tls-client-ca": _CERTIFICATES,
    }
)


@dataclass(frozen=True, slots=True)
class Tls:
    """What the server shows to its clients, in PEM; `client_ca` is whom clients' certificates must come from."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    expires: datetime
    """When the server's own certificate ceases to be valid, in UTC."""
    begins: datetime
    linked: bool
    """Whether each certificate was issued by the one after it."""

    def doubts(self, now: datetime) -> Iterator[str]:
        """Say why clients will not trust what a server shows that starts all the same."""
        if self.expires < now:
            yield f"it has expired on {self.expires.isoformat()}"
        if self.begins > now:
            yield f"it is not valid before {self.begins.isoformat()}"
        if not self.linked:
            yield "its chain has a certificate that did not issue the one before it"


def read_tls(config: Config) -> Tls | None:
    """Read the files that the settings name; None where they name none.

    Raises ConfigError for a file that cannot be read, is not what it should be, or is of no use alone.
    """
    if not config.tls_certificate and not config.tls_key:
        if config.tls_client_ca:
            raise ConfigError("--tls-client-ca: needs --tls-certificate and --tls-key")
        return None
    if not config.tls_certificate or not config.tls_key:
        raise ConfigError("--tls-certificate and --tls-key: one is of no use without the other")
    chain, certificates = _read("--tls-certificate", config.tls_certificate, x509.load_pem_x509_certificates)
    key, private = _read("--tls-key", config.tls_key, _private_key)
    own = certificates[0]
    if private.public_key() != own.public_key():
        raise ConfigError("--tls-key: is not that of the first certificate in --tls-certificate, the server's own")
    linked = all(one.issuer == other.subject for one, other in pairwise(certificates))
    client_ca = _client_ca(config.tls_client_ca)
    return Tls(chain, key, client_ca, own.not_valid_after_utc, own.not_valid_before_utc, linked)


def _client_ca(path: str) -> bytes | None:
    return _read("--tls-client-ca", path, x509.load_pem_x509_certificates)[0] if path else None


def _read(flag: str, path: str, parse: Callable[[bytes], ReadT]) -> tuple[bytes, ReadT]:
    """A file's bytes and what they mean; never a word of what is in it, since it may be a key."""
    data = _contents(flag, path)
    try:
        return data, parse(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{flag}: {path} {_WANTED[flag]}") from error


def _contents(flag: str, path: str) -> bytes:
    """The bytes of a file, which may be a pipe, of a size within reason."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{flag}: {path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise ConfigError(f"{flag}: {path} has more than {LARGEST >> 20} MiB")
    if data.startswith(BOM_UTF8):
        raise ConfigError(f"{flag}: {path} begins with a byte order mark, with which gRPC cannot read it")
    return data


def _private_key(data: bytes) -> PrivateKeyTypes:
    key = load_pem_private_key(data, password=None)
    if not isinstance(key, RSAPrivateKey) and not (
        isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES
    ):
        raise ValueError("no client of gRPC would take it")
    return key
