"""A TCP port on every address of its host: free, or held for several processes of ours."""

import errno
import socket
from contextlib import ExitStack
from typing import TypeAlias

from rhapsode_server.errors import ConfigError

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  # compared with, not listened on
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_Place: TypeAlias = tuple[socket.AddressFamily, str]


class Reservation:
    """Holds a port until it is closed; processes of this user may listen on it with SO_REUSEPORT meanwhile.

    Asking for SO_REUSEPORT at once would share the port with any other server that does the same. So each socket first
    takes the address for itself, which fails where somebody listens or has reserved it, and only then agrees to share.
    It never accepts: connections go to those that listen. `flag` is what says the address, for errors.
    """

    def __init__(self, address: str, flag: str = "--address") -> None:
        host, _, port = address.rpartition(":")
        with ExitStack() as stack:
            try:
                self.address = f"{host}:{_hold(stack, host.strip('[]'), int(port))}"
            except (OSError, UnicodeError) as error:  # a name may be none that a resolver takes
                reason = error.strerror if isinstance(error, OSError) else error
                raise ConfigError(f"{flag} {address} cannot be listened on: {reason or error}") from error
            self._sockets = stack.pop_all()

    def close(self) -> None:
        """Let the port go."""
        self._sockets.close()


def _hold(stack: ExitStack, host: str, port: int) -> int:
    """Hold the port on every address of the host that this machine has, as gRPC listens on every one: the port."""
    missing: OSError | None = None
    held = 0
    for family, ip in _places(host):
        try:
            held = _take(stack.enter_context(socket.socket(family)), ip, held or port)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            missing = error
    if missing and not held:
        raise missing
    return held


def _places(host: str) -> list[_Place]:
    """The addresses of a host; both wildcards are every address of both families, as they are to gRPC."""
    if host in _WILDCARDS:
        return [(socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")]  # noqa: S104
    if host == "localhost":  # to gRPC it is both, whatever the machine's own files say
        return [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, str(place[0])) for family, _, _, _, place in found]


def _take(held: socket.socket, ip: str, port: int) -> int:
    """Take an address for itself, then agree to share it: the port, a free one where 0 is asked for.

    SO_REUSEADDR is for connections of an earlier server that linger; with it, listening is what excludes others.
    """
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if held.family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(ip != "::"))
    with socket.socket(held.family) as finder:
        if not port:  # a port that the system chose for `held` itself would be lost in the shutdown
            finder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            finder.bind((ip, 0))
            port = finder.getsockname()[1]
        held.bind((ip, port))
    held.listen(1)
    held.shutdown(socket.SHUT_RD)  # listens no more, and keeps the port
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return port
