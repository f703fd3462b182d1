"""Where a gRPC server listens: an address taken, or refused with the reason."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from rhapsode_server.errors import ConfigError
from rhapsode_server.serve.port import check_free


def bind(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None, *, shared: bool) -> str:
    """Listen, and say where: port 0 becomes the port that was found. A `shared` port is held by the supervisor."""
    if _answers(address):
        raise ConfigError(f"address {address} cannot be listened on: another process does")
    if not shared:
        check_free(address)
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"address {address} cannot be listened on") from error
    return address if address.startswith("unix") else f"{address.rpartition(':')[0]}:{port}"


@contextmanager
def for_us_alone() -> Iterator[None]:
    """Have the sockets that are made meanwhile admit this user only."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _answers(address: str) -> bool:
    """Whether somebody listens on this unix socket; gRPC would take its path away without a word."""
    if not address.startswith("unix:"):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address.removeprefix("unix:").removeprefix("//"))
        except OSError:
            return False
    return True
