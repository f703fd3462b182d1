"""When a worker that has ended is replaced, with time as a number."""

import pytest

from rhapsode_server.serve.roster import (
    FIRST_PAUSE,
    HOPELESS,
    LOADING,
    LONGEST_PAUSE,
    LOOK,
    SILENT,
    STEADY,
    Record,
    Roster,
)


def started(places: int) -> Roster:
    """One whose workers were all started at 0."""
    roster = Roster(places)
    for _ in range(places):
        roster.start(0.0)
    return roster


def test_all_start_at_once_and_only_once() -> None:
    roster = Roster(3)
    assert roster.next_due == 0.0
    assert [roster.start(1.0) for _ in range(4)] == [1, 2, 3, None]
    assert roster.next_due is None


def test_it_is_complete_when_all_serve() -> None:
    roster = started(2)
    roster.serves(1, 1.0)
    seen = [roster.complete]
    roster.serves(2, 1.0)
    seen.append(roster.complete)
    roster.ended(1, 2.0)
    assert [*seen, roster.complete] == [False, True, False]


def test_the_first_end_is_answered_at_once() -> None:
    roster = started(2)
    roster.serves(1, 1.0)
    roster.ended(1, 2.0)
    assert roster.start(2.0) == 1


def test_ends_in_a_row_are_answered_ever_later() -> None:
    record, pauses = Record(), []
    for _ in range(12):
        record = record.after(1.0)
        pauses.append(record.pause)
    assert pauses[:4] == [0.0, FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_long_service_makes_up_for_what_was_before() -> None:
    record = Record().after(1.0).after(None).after(None).after(STEADY)
    assert (record, record.pause) == (Record(soon=1), 0.0)


def test_there_is_hope_while_anybody_serves() -> None:
    roster = started(2)
    roster.serves(2, 0.0)
    for _ in range(3 * HOPELESS):
        record = roster.ended(1, 1.0)
        assert not roster.hopeless
    assert record.pause == LONGEST_PAUSE


def test_there_is_none_where_no_place_came_to_serve_again_and_again() -> None:
    roster = started(2)
    for _ in range(HOPELESS):
        roster.ended(1, 1.0)
        roster.ended(1, 1.0)
    for _ in range(HOPELESS):
        assert not roster.hopeless
        roster.ended(2, 1.0)
    assert roster.hopeless


def test_a_worker_that_served_takes_the_hopelessness_back() -> None:
    roster = started(1)
    for _ in range(HOPELESS - 1):
        roster.ended(1, 1.0)
    roster.serves(1, 2.0)
    roster.ended(1, 3.0)
    roster.ended(1, 3.0)
    assert not roster.hopeless


@pytest.mark.parametrize("served", [None, 0.0, 1e9])
def test_a_pause_has_an_end(served: float | None) -> None:
    record = Record()
    for _ in range(2000):
        record = record.after(served)
    assert 0.0 <= record.pause <= LONGEST_PAUSE


def test_a_pause_is_waited_for() -> None:
    roster = started(1)
    for _ in range(2):
        roster.serves(1, 1.0)
        roster.ended(1, 2.0)
    assert roster.next_due == 2.0 + FIRST_PAUSE
    assert roster.start(2.0 + FIRST_PAUSE / 2) is None
    assert roster.start(2.0 + FIRST_PAUSE) == 1


def looks(roster: Roster, begin: float, seconds: float, *turned: int) -> list[int]:
    """Whom looks once a second find hanging."""
    return [number for second in range(int(seconds)) for number in roster.hung(begin + second, turned)]


def test_who_does_not_turn_hangs() -> None:
    roster = started(2)
    for number in (1, 2):
        roster.serves(number, 1.0)
    assert looks(roster, 1.0, 10 * SILENT, 1, 2) == []
    assert looks(roster, 1.0 + 10 * SILENT, SILENT, 1) == []
    assert roster.hung(1.0 + 11 * SILENT, [1]) == [2]
    assert roster.hung(2.0 + 11 * SILENT, [1]) == []  # told once


def test_who_loads_has_more_time() -> None:
    roster = started(1)
    roster.hung(0.0, [])
    assert looks(roster, 1.0, LOADING) == []
    assert roster.hung(1.0 + LOADING, []) == [1]


def test_who_has_ended_does_not_hang() -> None:
    roster = started(1)
    roster.serves(1, 0.0)
    roster.ended(1, 1.0)
    assert looks(roster, 1.0, 2 * LOADING) == []


def test_time_in_which_nobody_looked_does_not_count() -> None:
    roster = started(1)
    roster.serves(1, 0.0)
    for year in range(int(SILENT / LOOK)):
        assert roster.hung(year * 3e7, []) == []
