"""Several servers at fixed addresses, each of which can be stopped and started again."""

import json
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.child import Child, child, saying

SERVERS = 3
STOPS = 60.0  # seconds that a stop may take
STREAMED = ("StreamText", "StreamImages")


class Fleet:
    """Servers of the same models."""

    def __init__(self, models: Path, flags: Sequence[str], addresses: Sequence[str], stack: ExitStack) -> None:
        self.addresses = tuple(addresses)
        self._words = (
            sys.executable,
            "-m",
            "rhapsode_server.main",
            "--models",
            str(models),
            "--metrics-address=",
            *flags,
        )
        self._stack = stack
        self._gone: list[Child] = []
        self._members = [self._start(address) for address in self.addresses]
        for member in self._members:
            member.until(saying("ready"))

    def restart(self, number: int, how: signal.Signals, connections: int) -> int:
        """End a server, and start another one at its address. Returns when that one has served requests on so many
        connections: the exit code of the first.
        """
        old = self._members[number]
        old.process.send_signal(how)
        code = old.process.wait(STOPS)
        self._gone.append(old)
        new = self._members[number] = self._start(self.addresses[number])
        new.until(Served(connections))
        return code

    def again(self) -> tuple[int, int]:
        """How often a request came once more: unary calls, and streams. Of what a killed server had in hand nothing is
        known.
        """
        lines = [json.loads(line) for each in (*self._gone, *self._members) for line in each.lines if is_request(line)]
        streams = [line["request_id"] for line in lines if line["grpc_method"].endswith(STREAMED)]
        unary = [line["request_id"] for line in lines if not line["grpc_method"].endswith(STREAMED)]
        return len(unary) - len(set(unary)), len(streams) - len(set(streams))

    def _start(self, address: str) -> Child:
        return self._stack.enter_context(child([*self._words, "--address", address]))


@contextmanager
def running_fleet(models: Path, *flags: str, servers: int = SERVERS) -> Iterator[Fleet]:
    """Start so many servers on free ports, which stay theirs while they are away; killed at the end."""
    with ExitStack() as stack:
        addresses = [_reserved(stack.enter_context(socket.socket())) for _ in range(servers)]
        yield Fleet(models, flags, addresses, stack)


def is_request(line: str) -> bool:
    """Whether a server tells of the end of a request."""
    return '"msg": "rpc"' in line


class Served:
    """Whether a server has told, line by line, that it has answered requests of so many connections."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._peers: set[str] = set()

    def __call__(self, line: str) -> bool:
        """Take the next line."""
        if is_request(line) and (told := json.loads(line))["grpc_code"] == "OK":
            self._peers.add(told["peer"])
        return len(self._peers) >= self._connections


def _reserved(held: socket.socket) -> str:
    """A free address: the system gives its port to nobody who does not name it, since a socket that never listens has
    it.
    """
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{held.getsockname()[1]}"
