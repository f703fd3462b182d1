"""Judges what clients of a living repository were given: nothing failed, and each had what it had referred to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from benchmarks.living.load import Asked
from benchmarks.living.reigns import Reign, during
from benchmarks.soak.checks import check_one
from benchmarks.soak.history import OK, Origin, Question, Record, Reference

Truth: TypeAlias = Mapping[tuple[Question, str], Reference]
"""What an undisturbed model answers, by the question and the fingerprint of its content."""
Meant: TypeAlias = Mapping[str, Sequence[Reign]]
"""What each reference meant, in order of time."""


def offences(asked: Asked, truth: Truth, meant: Meant) -> Iterator[str]:
    """All that is wrong with one request."""
    record = asked.record
    where = f"{record.question.kind} of {asked.reference}"
    if record.outcome != OK:
        yield f"{where} ended with {record.outcome or 'nothing'}"
        return
    if record.origin is None:
        yield f"{where} names no version"
        return
    held = meant_then(asked, meant)
    answered = [origin for origin in held if _is(record.origin, origin)]
    if not answered:
        named = ", ".join(f"{origin.version} ({origin.fingerprint[:8]})" for origin in held)
        yield f"{where} was answered by {record.origin.version} ({record.origin.fingerprint[:8]}), not by {named}"
        return
    yield from (f"{where}: {text}" for text in _content(record, answered, truth))


def meant_then(asked: Asked, meant: Meant) -> Sequence[Origin]:
    """What the reference meant at some moment between the request and the first word of its reply."""
    record = asked.record
    spoke = next((message.at for message in record.messages if message.origin is not None), record.started)
    return [reign.origin for reign in during(meant[asked.reference], record.started, spoke)]


def replaced(asked: Asked, meant: Meant) -> bool:
    """Whether something else took the place of what answered before the reply had ended."""
    record = asked.record
    if record.origin is None or not record.endings:
        return False
    later = during(meant[asked.reference], record.endings[0].at, record.endings[0].at)
    return not any(_is(record.origin, reign.origin) for reign in later)


def _content(record: Record, answered: Sequence[Origin], truth: Truth) -> Sequence[str]:
    """What is wrong with the bytes; a reply that names no fingerprint may be of any that fits."""
    judged = []
    for origin in answered:
        known = truth[record.question, origin.fingerprint]
        known = replace(known, origin=record.origin)
        judged.append([str(offence) for offence in check_one(record, {record.question: known})])
    return min(judged, key=len)


def _is(told: Origin, origin: Origin) -> bool:
    """Whether a reply that says this is from there; not all replies say a fingerprint."""
    same = (told.model, told.version) == (origin.model, origin.version)
    return same and told.fingerprint in ("", origin.fingerprint)
