"""Judges histories: what a record must be whatever happened to the server and to other requests.

1. Every request has one terminal status, no more, and it is the last thing that comes.
2. What comes is numbered without a gap, from zero up in each lane, and nothing of a lane comes after its end.
3. An OK has ended every lane, and lacks nothing that the reference has.
4. Nothing comes after a cancel that was acknowledged.
5. All that comes is what an idle server of the same fingerprint answers to the request alone, whole or not.
6. The outcome is one that the request may have: refusals have documented reasons.
7. DEADLINE_EXCEEDED does not come before the deadline.
8. Requests that are equal have equal replies, known references or none.

Of records by gRPC's own client (recorder.py) 4 says nothing, and 1 only that the request does not hang: the client
gives nothing after an end. Both are judged where the request was read frame by frame (frames.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.soak.history import (
    DEADLINE_EXCEEDED,
    NOTHING_KNOWN,
    OK,
    Finish,
    Item,
    Origin,
    Question,
    Record,
    Reference,
    References,
)

EARLY = 0.005  # seconds that two clocks, or a rounded timeout, may differ by
EXPIRED = (DEADLINE_EXCEEDED, "DEADLINE_EXPIRED")


@dataclass(frozen=True, slots=True)
class Offence:
    """A promise that a record breaks."""

    number: int
    promise: int
    """Of the list above."""
    what: str

    def __str__(self) -> str:
        return f"request {self.number}: {self.what} (promise {self.promise})"


def check(history: Sequence[Record], references: References = NOTHING_KNOWN) -> list[Offence]:
    """All that is wrong with a whole history."""
    found = [offence for record in history for offence in check_one(record, references)]
    numbers = [record.number for record in history]
    found += [Offence(one, 1, "was recorded twice") for one in sorted({n for n in numbers if numbers.count(n) > 1})]
    return [*found, *_unequal(history)]


def check_one(record: Record, references: References = NOTHING_KNOWN) -> Iterator[Offence]:
    """All that is wrong with one record by itself."""
    reference = references.get(record.question)
    for promise, complaints in (
        (1, _ending(record)),
        (2, _order(record)),
        (3, _whole(record, reference)),
        (4, _after_cancel(record)),
        (5, _content(record, reference)),
        (6, _outcome(record)),
        (7, _deadline(record)),
    ):
        for what in complaints:
            yield Offence(record.number, promise, what)


def _ending(record: Record) -> Iterator[str]:
    if len(record.endings) != 1:
        yield f"{record.question.kind} had {len(record.endings)} terminal statuses"
    moments = [record.started, *(message.at for message in record.messages), *(end.at for end in record.endings)]
    if any(later < earlier for earlier, later in pairwise(moments)):
        yield "something came after the terminal status"


def _order(record: Record) -> Iterator[str]:
    following: dict[int, int] = defaultdict(int)
    over: set[int] = set()
    for message in record.messages:
        for item in message.items:
            if item.lane in over:
                yield f"lane {item.lane} went on after its end"
            if item.index != following[item.lane]:
                yield f"item {item.index} of lane {item.lane} came where {following[item.lane]} was due"
            following[item.lane] = item.index + 1
        for finish in message.finished:
            if finish.lane in over:
                yield f"lane {finish.lane} ended twice"
            over.add(finish.lane)


def _whole(record: Record, reference: Reference | None) -> Iterator[str]:
    if record.outcome != OK:
        return
    missing = set(range(record.lanes)) - {finish.lane for finish in record.finished}
    if missing:
        yield f"ended OK without the end of lanes {sorted(missing)}"
    if reference is not None and (lacking := len(reference.items - set(record.items))):
        yield f"ended OK and lacked {lacking} of {len(reference.items)} items"


def _after_cancel(record: Record) -> Iterator[str]:
    if record.cancelled is None:
        return
    late = sum(message.at > record.cancelled for message in record.messages)
    if late:
        yield f"{late} messages came after the cancel"


def _content(record: Record, reference: Reference | None) -> Iterator[str]:
    if reference is None or (record.origin is not None and record.origin != reference.origin):
        return  # nothing is known of another version
    wrong = [item for item in record.items if item not in reference.items]
    if wrong:
        yield f"{record.question} gave {wrong[0]}, which an idle server does not; {len(wrong)} such items"
    if any(finish not in reference.finished for finish in record.finished):
        yield f"{record.question} ended otherwise than on an idle server"


def _outcome(record: Record) -> Iterator[str]:
    for end in record.endings:
        if end.outcome not in record.permitted:
            yield f"{record.question.kind} ended with {end.code} {end.reason or 'without a reason'}"


def _deadline(record: Record) -> Iterator[str]:
    for end in record.endings:
        if end.outcome not in EXPIRED:
            continue
        if record.timeout is None:
            yield "its deadline passed, and it had none"
        elif end.at < record.started + record.timeout - EARLY:
            yield f"its deadline passed {record.started + record.timeout - end.at:.3f} s too early"


def _unequal(history: Iterable[Record]) -> Iterator[Offence]:
    """Equal questions to equal fingerprints must have equal items at equal places, as far as each got."""
    told: dict[tuple[Question, Origin | None, int, int], str] = {}
    for record in history:
        places: list[Item | Finish] = [*record.items, *record.finished]
        for place in places:
            index = place.index if isinstance(place, Item) else -1
            known = told.setdefault((record.question, record.origin, place.lane, index), place.value)
            if known != place.value:
                yield Offence(record.number, 8, f"{record.question} gave other bytes than before at {index}")
                break
