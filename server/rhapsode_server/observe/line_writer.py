"""A stream of lines that a thread writes, so that nobody waits for whoever reads them, or fails where nobody does."""

import os
import select
from collections.abc import Callable, Iterator
from select import PIPE_BUF
from threading import Condition, Thread
from typing import TypeAlias

Count: TypeAlias = Callable[[int], object]

ROOM = 1 << 20  # bytes that may wait to be written, about 3000 lines of rpcs
LAST_LINES = 1.0  # seconds that the end waits for them


class LineWriter:
    """Writes lines to a descriptor, each whole even where other processes write into the same pipe.

    No method fails or blocks but `close`, which waits for LAST_LINES. What finds no room, and what cannot be written
    (nobody reads, the disk is full), is dropped. `tell` makes the line that is written in its place, once writing works
    again, of the number of lines that are missing there. Safe from any thread.
    """

    def __init__(self, descriptor: int, tell: Callable[[int], str], room: int = ROOM) -> None:
        self._descriptor = descriptor
        self._tell = tell
        self._room = room
        self._changed = Condition()
        self._waiting: list[bytes] = []
        self._unwritten = 0  # bytes
        self._turned_away = 0  # lines that found no room since the thread last took what waits
        self._dropped = 0
        self._count: Count = lambda _: None
        self._closed = False
        self._lost = 0  # lines of which nothing has been told; this and what follows is the thread's alone
        self._midway = False  # in a line, of which the rest could not be written
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, lines: str) -> None:
        """Have lines written."""
        text = lines.encode(errors="replace")
        with self._changed:
            # Once a line is missing all are, until what waits has been taken: one hole, told of in its place.
            if self._closed or self._turned_away or self._unwritten + len(text) > self._room:
                number = text.count(b"\n")
                self._turned_away += number
                self._drop(number)
            else:
                self._waiting.append(text)
                self._unwritten += len(text)
            self._changed.notify()

    def flush(self) -> None:
        """Do nothing: what is written is on its way."""

    def count_dropped(self, count: Count) -> None:
        """Have `count` told the number of lines that are dropped from now on, and at once that of those before."""
        with self._changed:
            self._count = count
            count(self._dropped)

    def close(self) -> None:
        """Write what waits, for a while; nothing is written from then on."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(LAST_LINES)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        self._count(lines)

    def _run(self) -> None:
        while taken := self._take():
            lines, missing = taken
            for piece in pieces(lines, PIPE_BUF):
                self._put(piece)
                with self._changed:
                    self._unwritten -= len(piece)
            if missing:
                self._lost += missing
                self._put(b"")

    def _take(self) -> tuple[bytes, int] | None:
        """Wait for lines: all that wait, and how many are missing after them; None where there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._turned_away or self._closed)
            taken = b"".join(self._waiting), self._turned_away
            self._waiting, self._turned_away = [], 0
            return taken if any(taken) else None

    def _put(self, piece: bytes) -> None:
        """Write lines, after word of those that are missing before them."""
        rest = piece
        try:
            if self._lost:
                told = b"\n" * self._midway + self._tell(self._lost).encode(errors="replace")
                while told:
                    told = told[self._write(told) :]
                self._lost = 0
            while rest:
                rest = rest[self._write(rest) :]
        except OSError:
            number = rest.count(b"\n")
            self._lost += number
            with self._changed:
                self._drop(number)

    def _write(self, text: bytes) -> int:
        """Write as much as the system takes at once, and at least a byte: how much it was."""
        while True:
            try:
                written = os.write(self._descriptor, text)
            except BlockingIOError:
                self._ready.poll()
            else:
                self._midway = text[written - 1 : written] != b"\n"
                return written


def pieces(lines: bytes, most: int) -> Iterator[bytes]:
    """Cut between lines, into pieces of at most so many bytes where the lines allow it.

    As many as a pipe takes in one piece; only a longer line may be torn by another process.
    """
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + most) + 1 or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end
