"""Whether an address can be listened on, found out before anything does."""

import os
import socket
from pathlib import Path

from rhapsode_server.errors import ConfigError
from rhapsode_server.serve.port import Reservation

_LONGEST = 107  # bytes of a path in sockaddr_un, without its end


def check_free(address: str, flag: str) -> None:
    """Raise ConfigError, which names the flag, where gRPC could not listen, or would do so in somebody's place.

    It is content with one of a host's addresses that is free, and takes the path of a unix socket that answers away.
    """
    if not address.startswith("unix:"):
        Reservation(address, flag).close()
    elif wrong := _wrong(Path(address.removeprefix("unix:").removeprefix("//"))):
        raise ConfigError(f"{flag} {address} cannot be listened on: {wrong}")


def _wrong(path: Path) -> str:
    """What keeps a socket from being made at a path; nothing where it can be."""
    try:
        path.parent.stat()
        if not os.access(path.parent, os.W_OK | os.X_OK):
            return f"{path.parent} may not be written to"
        if len(os.fsencode(path)) > _LONGEST:
            return f"a path of a socket has {_LONGEST} bytes at most"
        if path.exists() and not path.is_socket():
            return "it is there, and is no socket"
    except (OSError, ValueError) as error:  # a path may be none at all
        return f"{path.parent}: {error.strerror if isinstance(error, OSError) else error}"
    return "another process does" if _answers(path) else ""


def _answers(path: Path) -> bool:
    """Whether somebody listens on this unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
