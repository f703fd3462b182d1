"""The checker of histories: right ones pass, and each way of being wrong is found."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from benchmarks.soak.checks import check
from benchmarks.soak.history import (
    Ending,
    Finish,
    Item,
    Message,
    Origin,
    Question,
    Record,
    Reference,
    References,
    reference,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ORIGIN = Origin("tiny", 1, "f0")
LANES, LENGTH = 2, 6
QUESTION = Question("stream", 7)
PERMITTED = ("OK", "CANCELLED", "DEADLINE_EXCEEDED", "QUEUE_FULL")
WHOLE: References = {
    QUESTION: Reference(
        ORIGIN,
        frozenset(Item(lane, index, f"{lane}{index}") for lane in range(LANES) for index in range(LENGTH)),
        frozenset(Finish(lane, "end") for lane in range(LANES)),
    )
}
Break = Callable[[Record], Record]
FEW = settings(max_examples=25)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Right histories of one question: cut into any messages, whole, cancelled, late or refused."""
    return [draw(records(number)) for number in range(draw(st.integers(1, 4)))]


@st.composite
def records(draw: st.DrawFn, number: int = 0, *, whole: bool = False) -> Record:
    """A right record; a whole one ends OK."""
    order = draw(st.permutations([lane for lane in range(LANES) for _ in range(LENGTH + 1)]))
    outcome = "OK" if whole else draw(st.sampled_from(PERMITTED))
    kept = len(order) if outcome == "OK" else 0 if outcome == "QUEUE_FULL" else draw(st.integers(0, len(order)))
    record = Record(number, QUESTION, 10.0, LANES, PERMITTED, timeout=5.0, messages=_messages(draw, order[:kept]))
    end = 15.0 if outcome == "DEADLINE_EXCEEDED" else 11.0 + len(record.messages)
    cancelled = end if outcome == "CANCELLED" else None
    code, reason = ("UNAVAILABLE", outcome) if outcome == "QUEUE_FULL" else (outcome, "")
    return replace(record, cancelled=cancelled, endings=(Ending(max(end, _last(record)), code, reason),))


def _messages(draw: st.DrawFn, order: list[int]) -> tuple[Message, ...]:
    messages: list[Message] = []
    made = [0] * LANES
    for lane in order:
        items = (Item(lane, made[lane], f"{lane}{made[lane]}"),) if made[lane] < LENGTH else ()
        finished = () if items else (Finish(lane, "end"),)
        made[lane] += 1
        at = 10.0 + len(messages) * 0.1
        joined = draw(st.booleans())
        if messages and joined:
            last = messages.pop()
            at, items, finished = last.at, (*last.items, *items), (*last.finished, *finished)
        messages.append(Message(at, items, finished, None if messages else ORIGIN))
    return tuple(messages)


def _last(record: Record) -> float:
    return record.messages[-1].at if record.messages else record.started


@FEW
@given(histories())
def test_right_histories_pass(history: list[Record]) -> None:
    # A lane's end may come in the message of another lane's later items: only its own must come before it.
    assert check(history, WHOLE) == []


def _edit(record: Record, place: int, message: Message) -> Record:
    return replace(record, messages=(*record.messages[:place], message, *record.messages[place + 1 :]))


def _lose_an_item(record: Record) -> Record:
    place = next(place for place, message in enumerate(record.messages) if message.items)
    return _edit(record, place, replace(record.messages[place], items=record.messages[place].items[1:]))


def _repeat_a_message(record: Record) -> Record:
    return replace(record, messages=(record.messages[0], *record.messages))


def _lose_an_end(record: Record) -> Record:
    place = next(place for place, message in enumerate(record.messages) if message.finished)
    return _edit(record, place, replace(record.messages[place], finished=record.messages[place].finished[1:]))


def _another_token(record: Record) -> Record:
    place = next(place for place, message in enumerate(record.messages) if message.items)
    first, *rest = record.messages[place].items
    return _edit(record, place, replace(record.messages[place], items=(replace(first, value="x"), *rest)))


def _another_end(record: Record) -> Record:
    place = next(place for place, message in enumerate(record.messages) if message.finished)
    first, *rest = record.messages[place].finished
    return _edit(record, place, replace(record.messages[place], finished=(replace(first, value="x"), *rest)))


def _go_on(record: Record) -> Record:
    more = Message(_last(record), (Item(0, LENGTH, "more"),))
    return replace(record, messages=(*record.messages, more))


def _end_twice(record: Record) -> Record:
    return replace(record, endings=record.endings * 2)


def _never_end(record: Record) -> Record:
    return replace(record, endings=())


def _speak_after_the_cancel(record: Record) -> Record:
    return replace(record, cancelled=_last(record) - 0.05, endings=(Ending(99.0, "CANCELLED"),))


def _unknown_reason(record: Record) -> Record:
    return replace(record, endings=(replace(record.endings[0], code="UNKNOWN"),))


def _expire_early(record: Record) -> Record:
    return replace(record, timeout=99.0, endings=(Ending(_last(record), "DEADLINE_EXCEEDED"),))


def _expire_without_a_deadline(record: Record) -> Record:
    return replace(record, timeout=None, endings=(Ending(99.0, "DEADLINE_EXCEEDED"),))


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        (_lose_an_item, 2),
        (_repeat_a_message, 2),
        (_go_on, 2),
        (_lose_an_end, 3),
        (_another_token, 5),
        (_another_end, 5),
        (_end_twice, 1),
        (_never_end, 1),
        (_speak_after_the_cancel, 4),
        (_unknown_reason, 6),
        (_expire_early, 7),
        (_expire_without_a_deadline, 7),
    ],
)
@FEW
@given(record=records(whole=True))
def test_a_broken_promise_is_found(record: Record, broken: Break, promise: int) -> None:
    assert promise in {offence.promise for offence in check([broken(record)], WHOLE)}


@FEW
@given(record=records(whole=True))
def test_a_message_behind_the_end_is_found(record: Record) -> None:
    late = Message(record.endings[0].at + 1, ())
    assert check([replace(record, messages=(*record.messages, late))], WHOLE)[0].promise == 1


@FEW
@given(record=records(whole=True))
def test_equal_requests_are_held_to_equal_bytes_without_a_reference(record: Record) -> None:
    assert check([record, replace(record, number=1)]) == []
    assert [offence.promise for offence in check([record, replace(_another_token(record), number=1)])] == [8]


@FEW
@given(record=records(whole=True))
def test_a_request_that_is_recorded_twice_is_found(record: Record) -> None:
    assert [offence.promise for offence in check([record, record])] == [1]


def test_a_reference_is_the_whole_reply_of_an_idle_server() -> None:
    record = Record(0, QUESTION, 0.0, 1, ("OK",), messages=(Message(0.5, (Item(0, 0, "a"),), (Finish(0, "end"),)),))
    with pytest.raises(ValueError, match="nothing"):
        reference(record)
    assert reference(replace(record, endings=(Ending(1.0, "OK"),))).items == {Item(0, 0, "a")}
