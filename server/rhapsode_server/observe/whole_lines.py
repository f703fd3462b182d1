"""A stream of text into a pipe that other processes write to as well, so that lines stay whole."""

import io
import os
from collections.abc import Iterator
from select import PIPE_BUF
from typing import TextIO


class WholeLines(io.TextIOBase):
    """Writes as many lines at a time as a pipe takes in one piece; only a longer line may be torn."""

    def __init__(self, stream: TextIO) -> None:
        self._descriptor = stream.fileno()
        self._terminal = stream.isatty()

    def isatty(self) -> bool:
        """Whether people look at it."""
        return self._terminal

    def write(self, text: str) -> int:
        """Write lines, at once."""
        for piece in pieces(text.encode(errors="replace"), PIPE_BUF):
            rest = piece
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(text)


def pieces(lines: bytes, most: int) -> Iterator[bytes]:
    """Cut between lines, into pieces of at most so many bytes where the lines allow it."""
    piece = b""
    for line in lines.splitlines(keepends=True):
        if piece and len(piece) + len(line) > most:
            yield piece
            piece = b""
        piece += line
    if piece:
        yield piece
