"""The server's certificate: read, and checked as a whole."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
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
from rhapsode_server.serve import setting_file

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

    Raises ConfigError for files that cannot be read, are not what they should be, or are of no use alone; a line each.
    """
    if not config.tls_certificate and not config.tls_key:
        if config.tls_client_ca:
            raise ConfigError("--tls-client-ca: needs --tls-certificate and --tls-key")
        return None
    if not config.tls_certificate or not config.tls_key:
        raise ConfigError("--tls-certificate and --tls-key: one is of no use without the other")
    wrong: list[str] = []
    chain = _try("--tls-certificate", config.tls_certificate, x509.load_pem_x509_certificates, wrong)
    key = _try("--tls-key", config.tls_key, _private_key, wrong)
    client_ca = _try("--tls-client-ca", config.tls_client_ca, x509.load_pem_x509_certificates, wrong)
    if chain and key and key[1].public_key() != chain[1][0].public_key():
        wrong.append("--tls-key: is not that of the first certificate in --tls-certificate, the server's own")
    if wrong or not chain or not key:
        raise ConfigError("\n".join(wrong))
    own = chain[1][0]
    linked = all(one.issuer == other.subject for one, other in pairwise(chain[1]))
    ends, begins = own.not_valid_after_utc, own.not_valid_before_utc
    return Tls(chain[0], key[0], client_ca[0] if client_ca else None, ends, begins, linked)


def _try(flag: str, path: str, parse: Callable[[bytes], ReadT], wrong: list[str]) -> tuple[bytes, ReadT] | None:
    """What `_read` gives; None where no file is named, or where something is wrong, which is added to the rest."""
    try:
        return _read(flag, path, parse) if path else None
    except ConfigError as error:
        wrong.append(error.message)
        return None


def _read(flag: str, path: str, parse: Callable[[bytes], ReadT]) -> tuple[bytes, ReadT]:
    """A file's bytes and what they mean; never a word of what is in it, since it may be a key."""
    data = setting_file.read(flag, path, LARGEST)
    if data.startswith(BOM_UTF8):
        raise ConfigError(f"{flag}: {path} begins with a byte order mark, with which gRPC cannot read it")
    try:
        return data, parse(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{flag}: {path} {_WANTED[flag]}") from error


def _private_key(data: bytes) -> PrivateKeyTypes:
    key = load_pem_private_key(data, password=None)
    if not isinstance(key, RSAPrivateKey) and not (
        isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES
    ):
        raise ValueError("no client of gRPC would take it")
    return key
