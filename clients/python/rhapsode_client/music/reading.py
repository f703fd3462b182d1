"""Tunes in ABC, read by music21."""

import io
import re
from contextlib import redirect_stderr

from music21.abcFormat import ABCBar, ABCChord, ABCHandler, ABCMetadata, ABCNote
from music21.pitch import Pitch

from rhapsode_client.errors import UnreadableTune
from rhapsode_client.music.melody import Note
from rhapsode_client.music.written import Bar, Written

LONGEST = 600.0  # seconds that a tune may last: beyond it stands a slip of the model's pen, such as A9999
USUAL_TEMPO = 120.0  # quarter notes a minute where a tune says nothing
PITCHES = range(21, 109)  # of MIDI: those of a piano
# All of these end one repeat and begin another; music21 takes the "D::" of "D::A" for a field of the header.
_TURN = re.compile(r":\|?\|?:")
_BRACKET = re.compile(r"\[(?=\d)")


def read_abc(abc: str) -> Written:
    """The tune as it is written.

    Raises UnreadableTune where music21 cannot read it, would have to pass over or guess something, and where it has no
    notes, notes that nobody can play, or no end within LONGEST.
    """
    tempo, bars = USUAL_TEMPO, [Bar()]
    for token in _handler(abc).tokens:
        if isinstance(token, ABCMetadata) and token.isTempo():
            mark = token.getMetronomeMarkObject()
            tempo = float(mark.getQuarterBPM()) if mark else tempo
        elif isinstance(token, ABCNote):
            _add(bars[-1], token)
        elif isinstance(token, ABCBar):
            _end_bar(bars, token)
    tune = Written(tuple(bar for bar in bars if bar.length or bar.ends_repeat), tempo)
    _check(tune)
    return tune


def _handler(abc: str) -> ABCHandler:
    handler, text = ABCHandler(), _TURN.sub(":||:", abc)
    with redirect_stderr(io.StringIO()) as said:
        try:
            handler.process(text)
        except Exception as error:  # a parser of other people's text may stumble over it in any way
            raise UnreadableTune(f"music21 cannot read it: {' '.join(str(error).split())}") from error
    if said.getvalue() or _signs("".join(token.src for token in handler.tokens)) != _signs(text):
        raise UnreadableTune("music21 cannot read all of it")
    return handler


def _signs(text: str) -> str:
    """The text without spaces, endings written in one way: |1 is read as |[1."""
    return _BRACKET.sub("", "".join(text.split()))


def _add(bar: Bar, token: ABCNote) -> None:
    if token.inGrace:
        return
    stretch = token.activeTuplet.tupletMultiplier() if token.activeTuplet else 1
    length = float(token.quarterLength * stretch)
    if token.tie in ("stop", "continue"):
        bar.tied.add(len(bar.notes))
    if not token.isRest and length > 0:
        sounding = token.subTokens if isinstance(token, ABCChord) else (token,)
        bar.notes += [Note(bar.length, length, int(Pitch(each.pitchName).midi)) for each in sounding if each.pitchName]
    bar.length += length


def _end_bar(bars: list[Bar], token: ABCBar) -> None:
    if bars[-1].length:
        bars.append(Bar())
    if token.isRepeat() and token.repeatForm == "end" and len(bars) > 1:
        bars[-2].ends_repeat = True
    elif token.isRepeat():
        bars[-1].begins_repeat = True
    bars[-1].ending = int(token.isRepeatBracket()) or bars[-1].ending


def _check(tune: Written) -> None:
    played = tune.played()
    if not played.notes:
        raise UnreadableTune("it has no notes")
    if not all(note.pitch in PITCHES for note in played.notes):
        raise UnreadableTune("it has notes that no piano has")
    if played.seconds > LONGEST:
        raise UnreadableTune(f"it would last {played.seconds / 60:.0f} minutes")
