"""Whether every bar of a tune in ABC is filled to its metre."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from music21.abcFormat import ABCBar, ABCHandler, ABCMetadata, ABCNote

FINEST = 3840  # no note is a finer part of a quarter than one of these: what floats round is made exact again


@dataclass(slots=True)
class Bar:
    """A bar that has notes, as it is read: its length and that of its metre, in quarter notes.

    An edge is a bar line where the music may turn back or begin anew: a double one, a repeat, an ending, the tune's
    beginning or its end. An ending belongs to the section before it.
    """

    after_edge: bool
    before_edge: bool = False
    begins_ending: bool = False
    metre: Fraction | None = None
    length: Fraction = field(default_factory=Fraction)


def bars_filled(handler: ABCHandler) -> bool:
    """Whether each bar of a tune that music21 has read lasts exactly as long as its metre says.

    A bar may be shorter in two places. The tune's first bar may be a pickup. And where an edge (a double bar line, a
    repeat sign, an ending, the tune's end) cuts a bar in two, the piece before it and a piece with which the music may
    go on must last a whole bar together: with the next bar, with the first bar of its section (it may be repeated), or
    at the tune's end with the tune's first bar. No bar may be longer than its metre. Grace notes take no time. A tune
    without notes, or without a metre, is not filled.
    """
    bars = _bars(handler)
    joins = list(_joins(bars))
    completed = {index for pair in joins if _make_one(*(bars[index] for index in pair)) for index in pair}
    if bars and _short(bars[0]):
        completed.add(0)
    return bool(bars) and all(bar.length == bar.metre or index in completed for index, bar in enumerate(bars))


def _short(bar: Bar) -> bool:
    return bar.metre is not None and bar.length < bar.metre


def _make_one(before: Bar, after: Bar) -> bool:
    return before is not after and before.length + after.length == before.metre == after.metre


def _joins(bars: Sequence[Bar]) -> Iterator[tuple[int, int]]:
    """The pairs of bars, one before an edge and one with which the music may go on after it."""
    section = 0
    for index, bar in enumerate(bars):
        if bar.after_edge and not bar.begins_ending:
            section = index
        if bar.before_edge:
            yield index, section
            yield index, (index + 1) % len(bars)


def _bars(handler: ABCHandler) -> list[Bar]:
    """The bars that have notes, in the order in which they are written."""
    metre: Fraction | None = None
    bars, bar = [], Bar(after_edge=True)
    for token in handler.tokens:
        if isinstance(token, ABCMetadata) and token.isMeter():
            metre = _metre(token)
        elif isinstance(token, ABCNote):
            bar.length += _length(token)
            bar.metre = metre
        elif isinstance(token, ABCBar):
            edge = not token.isRegular() or bool(token.isRepeatBracket())
            if bar.length:
                bars.append(bar)
                bar = Bar(after_edge=False)
            if edge and bars:
                bars[-1].before_edge = True
            bar.after_edge |= edge
            bar.begins_ending |= bool(token.isRepeatBracket())
    if bar.length:
        bars.append(bar)
    if bars:
        bars[-1].before_edge = True
    return bars


def _metre(token: ABCMetadata) -> Fraction | None:
    signature = token.getTimeSignatureObject()
    return None if signature is None else Fraction(signature.barDuration.quarterLength)


def _length(token: ABCNote) -> Fraction:
    if token.inGrace:
        return Fraction(0)
    stretch = token.activeTuplet.tupletMultiplier() if token.activeTuplet else 1
    return Fraction(token.quarterLength).limit_denominator(FINEST) * Fraction(stretch).limit_denominator(FINEST)
