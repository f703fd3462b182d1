"""The server's certificate: read, checked as a whole, and handed to gRPC."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rhapsode_server.config import Config
from rhapsode_server.errors import ConfigError

ReadT = TypeVar("ReadT")
_CERTIFICATES = "holds no certificates in PEM"
_WANTED: Mapping[str, str] = MappingProxyType(
    {
        "--tls-certificate": _CERTIFICATES,
        "--tls-key": "holds no private key in PEM that can be used without a passphrase",
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

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC: clients must show a certificate of their own where `client_ca` is there (mutual TLS)."""
        return grpc.ssl_server_credentials(
            [(self.key, self.chain)], self.client_ca, require_client_auth=self.client_ca is not None
        )


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
    if private.public_key() != certificates[0].public_key():
        raise ConfigError("--tls-key: is not the key of the certificate in --tls-certificate")
    client_ca = _client_ca(config.tls_client_ca)
    return Tls(chain, key, client_ca, certificates[0].not_valid_after_utc)


def _client_ca(path: str) -> bytes | None:
    return _read("--tls-client-ca", path, x509.load_pem_x509_certificates)[0] if path else None


def _read(flag: str, path: str, parse: Callable[[bytes], ReadT]) -> tuple[bytes, ReadT]:
    """A file's bytes and what they mean; never a word of what is in it, since it may be a key."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{flag}: {path} cannot be read: {error.strerror}") from error
    try:
        return data, parse(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{flag}: {path} {_WANTED[flag]}") from error


def _private_key(data: bytes) -> PrivateKeyTypes:
    return load_pem_private_key(data, password=None)
