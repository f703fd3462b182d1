"""Where a prompt comes from: the command line, or standard input."""

import os
import stat
import sys
from collections.abc import Sequence
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


def read_texts(arguments: Sequence[str] | None, purpose: str) -> list[str]:
    """The texts to judge: each argument as a prompt is read. Raises a usage error where there is nothing."""
    given = [read_prompt(argument) for argument in arguments or (None,)]
    if given == [""]:
        raise typer.BadParameter(f"there is nothing to {purpose}: give a text, or a pipe that has one")
    return given


def _is_piped(stream: IO[bytes]) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
