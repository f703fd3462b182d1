"""Bars as a tune writes them, and in the order in which they are played."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rhapsode_client.music.melody import Melody, Note


@dataclass(slots=True)
class Bar:
    """A bar: its notes with their beginnings counted from its own, its length in quarter notes, its repeats."""

    notes: list[Note] = field(default_factory=list)
    tied: set[int] = field(default_factory=set)
    """Which of the notes only prolong the note before."""
    length: float = 0.0
    begins_repeat: bool = False
    ends_repeat: bool = False
    ending: int = 0
    """Which ending begins with it; 0 for none."""


@dataclass(frozen=True, slots=True)
class Written:
    """A tune's bars in the order in which they are written, and its tempo in quarter notes a minute."""

    bars: tuple[Bar, ...]
    tempo: float

    def melody(self) -> Melody:
        """The tune without its repeats."""
        return _in_a_row(self.bars, self.tempo)

    def played(self) -> Melody:
        """The tune with its repeats: each part that ends with one is played twice, the second time with ending 2."""
        return _in_a_row(in_order(self.bars), self.tempo)


def in_order(bars: Sequence[Bar]) -> list[Bar]:
    """The bars as they are played. A repeat that begins nowhere begins where the last one ended."""
    order: list[Bar] = []
    start = index = 0
    again = skipping = False
    while index < len(bars):
        bar = bars[index]
        if bar.begins_repeat and not again:
            start = index
        skipping = again and (bar.ending == 1 or (skipping and not bar.ending))
        if not skipping:
            order.append(bar)
        index += 1
        if bar.ends_repeat and not again:
            index, again = start, True
        elif bar.ends_repeat:
            start, again, skipping = index, bars[index].ending > 1 if index < len(bars) else False, False
    return order


def _in_a_row(bars: Sequence[Bar], tempo: float) -> Melody:
    notes: list[Note] = []
    starts: list[float] = []
    now = 0.0
    for bar in bars:
        starts.append(now)
        for index, note in enumerate(bar.notes):
            placed = Note(now + note.start, note.length, note.pitch)
            before = next((at for at in reversed(range(len(notes))) if notes[at].pitch == note.pitch), None)
            if index in bar.tied and before is not None and abs(_end(notes[before]) - placed.start) < 1e-6:
                notes[before] = Note(notes[before].start, notes[before].length + note.length, note.pitch)
            else:
                notes.append(placed)
        now += bar.length
    return Melody(tuple(notes), tuple(starts), now, tempo)


def _end(note: Note) -> float:
    return note.start + note.length
