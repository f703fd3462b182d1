"""Clients that are there to be killed: each line on standard input forks one, which reads a stream for ever."""

import os
import signal
import sys

from benchmarks.abuse.wire import Wire
from h2.events import DataReceived


def main() -> None:
    """Fork; each client tells its process number once its stream has begun."""
    address, path, message = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave nothing behind
    for _ in sys.stdin:
        if os.fork() == 0:
            _read_on(address, path, message)
            os._exit(0)


def _read_on(address: str, path: str, message: bytes) -> None:
    wire = Wire(address)
    wire.ask(path, message)
    wire.flush()
    wire.until(lambda event: isinstance(event, DataReceived))
    print(os.getpid(), flush=True)
    while not wire.ended:
        wire.receive(60.0)


if __name__ == "__main__":
    main()
