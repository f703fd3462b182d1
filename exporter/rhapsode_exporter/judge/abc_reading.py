"""A tune in ABC as music21 reads it, all of it or not at all."""

import io
import re
from contextlib import redirect_stderr

from music21.abcFormat import ABCHandler, ABCNote

# All of these end one repeat and begin another; music21 takes the "D::" of "D::A" for a field of the header.
_TURN = re.compile(r":\|?\|?:")
_BRACKET = re.compile(r"\[(?=\d)")


def read_abc(abc: str) -> ABCHandler | None:
    """What music21 made of a tune: tokens with their pitches and lengths. None where it is no proper tune.

    music21 passes over what it does not know, and puts a C where it finds no pitch. Here a tune is read where it
    refuses nothing, guesses nothing, has no sign left that belongs to no token, and finds a note.
    """
    handler, text = ABCHandler(), _TURN.sub(":||:", abc)
    with redirect_stderr(io.StringIO()) as said:
        try:
            handler.process(text)
        except Exception:  # a parser of other people's text may stumble over it in any way
            return None
    read = "".join(token.src for token in handler.tokens)
    whole = not said.getvalue() and _signs(read) == _signs(text)
    return (
        handler if whole and any(isinstance(token, ABCNote) and not token.isRest for token in handler.tokens) else None
    )


def _signs(text: str) -> str:
    """The text without spaces, endings written in one way: |1 is read as |[1."""
    return _BRACKET.sub("", "".join(text.split()))
