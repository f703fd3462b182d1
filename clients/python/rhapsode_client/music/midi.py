"""A melody as a MIDI file, written by music21."""

from music21.instrument import Violin
from music21.meter.base import TimeSignature
from music21.midi.translate import streamToMidiFile
from music21.note import Note as Sounding
from music21.stream import Part, Score
from music21.tempo import MetronomeMark

from rhapsode_client.music.melody import Melody

_SIGNS = {"C": "4/4", "C|": "2/2"}


def midi(melody: Melody, metre: str) -> bytes:
    """The file's bytes: a violin, at the melody's tempo, in a metre of ABC such as "6/8" or "C|"."""
    part = Part([Violin(), MetronomeMark(number=melody.tempo), TimeSignature(_SIGNS.get(metre, metre))])
    for note in melody.notes:
        sounding = Sounding(note.pitch, quarterLength=note.length)
        part.insert(note.start, sounding)
    content: bytes = streamToMidiFile(Score([part])).writestr()
    return content
