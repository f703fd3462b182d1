"""Where a gRPC server listens: an address taken, or refused with the reason."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from rhapsode_server.errors import ConfigError
from rhapsode_server.serve.free import check_free


def bind(
    server: grpc.aio.Server,
    address: str,
    credentials: grpc.ServerCredentials | None,
    *,
    flag: str = "--address",
    shared: bool = False,
) -> str:
    """Listen, and say where: port 0 becomes the port that was found. A `shared` port is held by the supervisor.

    Raises ConfigError, which names the flag that says the address.
    """
    if not shared:
        check_free(address, flag)
    try:
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"{flag} {address} cannot be listened on") from error
    return address if address.startswith("unix") else f"{address.rpartition(':')[0]}:{port}"


@contextmanager
def for_us_alone() -> Iterator[None]:
    """Have the sockets that are made meanwhile admit this user only."""
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)
