"""Clients that are there to be killed: processes that read a stream each for ever, with no time to say goodbye.

Run as `python -m benchmarks.abuse.doomed ADDRESS PATH MESSAGE`: each line on its standard input forks one.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen

from benchmarks.abuse.wire import TEXT_STREAM, Wire
from h2.events import DataReceived, StreamEnded, StreamReset


class Nursery:
    """Brings them forth, one at a time."""

    def __init__(self, process: "Popen[str]") -> None:
        self._process = process

    def begin(self) -> int | None:
        """The number of a new one's process, whose stream has begun; None where the server would not have it."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the nursery has no pipes")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline() or 0) or None


@contextmanager
def nursery(address: str, message: bytes, path: str = TEXT_STREAM) -> Iterator[Nursery]:
    """A nursery of clients that all ask the same; those that live on end with their streams."""
    words = (sys.executable, "-m", "benchmarks.abuse.doomed", address, path, message.hex())
    with Popen(words, stdin=PIPE, stdout=PIPE, text=True) as process:
        yield Nursery(process)


def main() -> None:
    """Fork; each client tells its process number once its stream has begun, or 0 where it does not."""
    address, path, message = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave nothing behind
    for _ in sys.stdin:
        if os.fork() == 0:
            _live(address, path, message)
            os._exit(0)


def _live(address: str, path: str, message: bytes) -> None:
    wire = _begun(address, path, message)
    print(os.getpid() if wire else 0, flush=True)
    while wire and not wire.ended:
        wire.receive(60.0)


def _begun(address: str, path: str, message: bytes) -> Wire | None:
    """A connection on which a stream has begun."""
    try:
        wire = Wire(address)
    except OSError:
        return None
    wire.ask(path, message)
    wire.flush()
    first = wire.until(lambda event: isinstance(event, DataReceived | StreamEnded | StreamReset))
    return wire if isinstance(first, DataReceived) else None


if __name__ == "__main__":
    main()
