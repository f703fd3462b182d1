"""Where a prompt comes from: the command line, or standard input."""

import os
import stat
import sys
from typing import IO

import typer


def read_prompt(argument: str | None) -> str:
    """The prompt: the argument, or all of stdin where it is "-", or where there is none and stdin is a pipe or file.

    Raises a usage error where what is read is not UTF-8.
    """
    if argument is not None and argument != "-":
        return argument
    stream = sys.stdin.buffer if sys.stdin is not None else None
    if stream is None or (argument is None and not _is_piped(stream)):
        return ""
    try:
        return stream.read().decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"the prompt on stdin is not UTF-8 at byte {error.start}") from None


def _is_piped(stream: IO[bytes]) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
