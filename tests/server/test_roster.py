"""When a worker that has ended is replaced, with time as a number."""

import pytest

from rhapsode_server.serve.roster import FIRST_PAUSE, HOPELESS, LONGEST_PAUSE, STEADY, Record, Roster


def test_all_start_at_once_and_only_once() -> None:
    roster = Roster(3)
    assert roster.next_due == 0.0
    assert roster.starts(1.0) == [1, 2, 3]
    assert roster.starts(2.0) == []
    assert roster.next_due is None


def test_it_is_complete_when_all_serve() -> None:
    roster = Roster(2)
    roster.starts(0.0)
    roster.serves(1, 1.0)
    seen = [roster.complete]
    roster.serves(2, 1.0)
    seen.append(roster.complete)
    roster.ended(1, 2.0)
    assert [*seen, roster.complete] == [False, True, False]


def test_the_first_end_is_answered_at_once() -> None:
    roster = Roster(2)
    roster.starts(0.0)
    roster.serves(1, 1.0)
    roster.ended(1, 2.0)
    assert roster.starts(2.0) == [1]


def test_ends_in_a_row_are_answered_ever_later() -> None:
    record, pauses = Record(), []
    for _ in range(12):
        record = record.after(1.0)
        pauses.append(record.pause)
    assert pauses[:4] == [0.0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert not record.hopeless


def test_long_service_makes_up_for_what_was_before() -> None:
    record = Record().after(1.0).after(None).after(None).after(STEADY)
    assert (record, record.pause) == (Record(soon=1), 0.0)


def test_a_worker_that_served_takes_the_hopelessness_back() -> None:
    record = Record()
    for _ in range(HOPELESS - 1):
        record = record.after(None)
    assert not record.hopeless
    assert record.after(None).hopeless
    assert record.after(0.1).after(None).unready == 1


@pytest.mark.parametrize("served", [None, 0.0, 1e9])
def test_a_pause_has_an_end(served: float | None) -> None:
    record = Record()
    for _ in range(2000):
        record = record.after(served)
    assert 0.0 <= record.pause <= LONGEST_PAUSE


def test_a_pause_is_waited_for() -> None:
    roster = Roster(1)
    roster.starts(0.0)
    for _ in range(2):
        roster.serves(1, 1.0)
        roster.ended(1, 2.0)
    assert roster.next_due == 2.0 + FIRST_PAUSE
    assert roster.starts(2.0 + FIRST_PAUSE / 2) == []
    assert roster.starts(2.0 + FIRST_PAUSE) == [1]
