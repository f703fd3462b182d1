"""How soon work is done: what a forecast learns, with values alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rhapsode_server.engine.forecast import SURE, Forecast, Work

WORKS = st.builds(Work, rows=st.integers(1, 9), left=st.integers(1, 500), least=st.integers(1, 500))


def forecast(*runs: tuple[int, int, float], max_batch: int = 4) -> Forecast:
    """One that has seen runs of so many rows, steps, and seconds."""
    made = Forecast(max_batch)
    for run in runs:
        made.ran(*run)
    return made


def work(left: int, rows: int = 1, **more: int | bool) -> Work:
    return Work(**({"rows": rows, "left": left, "least": left} | more))  # type: ignore[arg-type]


def test_nothing_is_foretold_before_the_first_run() -> None:
    unknown = forecast()
    assert unknown.pace(4) is None
    assert unknown.needs(work(10_000), []) == 0.0
    assert unknown.enough() == 4


def test_a_size_that_never_ran_is_taken_for_the_next_smaller_one() -> None:
    seen = forecast((1, 10, 1.0), (4, 10, 0.5))
    assert [seen.pace(rows) for rows in (1, 2, 3, 4)] == pytest.approx([0.1, 0.1, 0.1, 0.05])
    assert forecast((4, 10, 1.0)).pace(1) is None


def test_a_run_that_was_held_up_is_soon_forgotten() -> None:
    seen = forecast((4, 1, 10.0), *[(4, 1, 0.1)] * 7)
    assert seen.pace(4) == pytest.approx(0.1, rel=1.0)
    seen.ran(4, 1, 10.0)
    assert (seen.pace(4) or 0.0) < 2.5


def test_slots_come_free_in_the_order_of_what_is_left() -> None:
    seen = forecast((4, 1, 1.0))
    assert seen.ends([work(30), work(10)], [], room=2)[0] == 10
    assert seen.ends([work(30), work(10)], [work(5)], room=2)[0] == 15  # who waits is served first, for 5
    assert seen.ends([work(30), work(10)], [work(25), work(9)], room=2)[0] == 35


def test_jobs_that_are_too_many_leave_before_anybody_gets_a_slot() -> None:
    seen = forecast((4, 1, 1.0))
    assert seen.ends([work(10), work(20), work(30), work(40)], [], room=2)[0] == 30


def test_rows_that_do_not_fit_a_batch_take_turns() -> None:
    assert forecast(max_batch=4).runs(work(10), jobs=8) == 20
    assert forecast(max_batch=4).runs(work(40, rows=4), jobs=4) == 40
    assert forecast(max_batch=4).runs(work(40, rows=4), jobs=1) == 10


def test_a_text_that_may_end_by_itself_is_expected_to_be_as_long_as_others_were() -> None:
    seen = forecast()
    open_ended = work(8000, least=1, certain=False)
    assert seen.steps(open_ended) == 0
    seen.ended(work(0, taken=100, certain=False))
    assert seen.steps(open_ended) == 100
    open_ended.took(rows=0, left=60, steps=60)
    assert seen.steps(open_ended) == 40
    open_ended.took(rows=0, left=60, steps=60)
    assert seen.steps(open_ended) == 120  # it is longer than most: nobody knows how long
    open_ended.took(rows=0, left=7850, steps=7850)
    assert seen.steps(open_ended) == 30  # all that it may take
    seen.ended(work(0, taken=7000))  # says nothing: it could not have ended by itself
    assert seen.steps(work(8000, certain=False)) == 100


def test_what_is_learnt_of_texts_is_learnt_by_the_row() -> None:
    seen = forecast()
    many = work(64 * 8000, rows=64, certain=False)
    many.took(rows=64, left=64 * 8000, steps=64 * 48)
    seen.ended(many)
    assert seen.steps(work(8000, certain=False)) == 48
    assert seen.steps(work(3 * 8000, rows=3, certain=False)) == 3 * 48
    last = work(3 * 8000, rows=3, certain=False)
    last.took(rows=2, left=2 * 8000, steps=150)
    assert seen.steps(last) == 50  # overdue, and one row is left of it


def test_company_takes_turns_by_jobs_whatever_their_rows() -> None:
    seen = forecast((1, 1, 0.001), (64, 1, 0.001), max_batch=64)
    candidates = work(64 * 1000, rows=64)
    assert seen.needs(work(256), [candidates] * 16) == pytest.approx(SURE * 256 * 0.001)
    assert seen.needs(work(1), [work(100_000, rows=100_000)]) == pytest.approx(SURE * 0.001)
    assert seen.needs(candidates, [candidates] * 15) == pytest.approx(SURE * 1000 * 0.001 * 16)


def test_the_rows_of_company_fill_the_runs() -> None:
    seen = forecast((1, 1, 0.001), (64, 1, 0.01), max_batch=64)
    assert seen.needs(work(256), [work(64 * 1000, rows=64)]) == pytest.approx(SURE * 256 * 0.01)


def test_slots_of_others_slow_the_runs() -> None:
    assert forecast().ends([work(30)] * 4, [], room=4)[0] == 30
    assert forecast().ends([work(30)] * 4, [], room=4, beside=4)[0] == 60
    assert forecast(max_batch=64).ends([work(16 * 50, rows=16)] * 16, [], room=16)[0] == 200  # not 800: few are active


def test_only_company_that_surely_stays_counts_against_a_deadline() -> None:
    seen = forecast((1, 1, 0.1), (4, 1, 0.4))
    alone = seen.needs(work(100), [])
    assert alone == pytest.approx(SURE * 100 * 0.1)
    assert seen.needs(work(100), [work(10)] * 3) == alone  # they leave soon
    assert seen.needs(work(100), [work(90, certain=False)] * 3) == alone  # they may
    assert seen.needs(work(100), [work(90)] * 3) == pytest.approx(4 * alone)
    assert seen.needs(work(100), [work(90)] * 7) == pytest.approx(8 * alone)  # two batches take turns


def test_fewer_rows_are_enough_where_the_rows_are_what_costs() -> None:
    assert forecast((1, 1, 1.0), (64, 1, 1.0), max_batch=64).enough() == 64  # the rest of a batch is free
    assert forecast((1, 1, 1.0), (64, 1, 64.0), max_batch=64).enough() == 32
    assert 32 <= forecast((1, 1, 0.2), (64, 1, 2.0), max_batch=64).enough() < 48


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 64), st.integers(1, 32), st.floats(1e-6, 10.0)), max_size=30))
def test_what_is_learnt_lies_within_what_was_seen(runs: list[tuple[int, int, float]]) -> None:
    seen = forecast(*runs, max_batch=64)
    paces = [seconds / steps for _, steps, seconds in runs]
    for rows in (1, 7, 64):
        pace = seen.pace(rows)
        assert pace is None or min(paces) * 0.999 <= pace <= max(paces) * 1.001
    assert 32 <= seen.enough() <= 64


@settings(deadline=None)
@given(st.lists(WORKS, min_size=4, max_size=4), st.lists(WORKS, max_size=20), WORKS)
def test_more_work_is_never_done_sooner(active: list[Work], queued: list[Work], more: Work) -> None:
    seen = forecast((4, 1, 0.1))
    before, after = seen.ends(active, queued, room=4), seen.ends(active, [*queued, more], room=4)
    assert after[0] >= before[0]
    assert sum(after) == pytest.approx(sum(before) + seen.runs(more, jobs=4))


@settings(deadline=None)
@given(WORKS, st.lists(WORKS, max_size=8))
def test_company_never_makes_faster_nor_more_than_it_takes(one: Work, others: list[Work]) -> None:
    seen = forecast((1, 1, 0.1), (4, 1, 0.2))
    alone, together = seen.needs(one, []), seen.needs(one, others)  # a run of more rows takes longer here
    rows = one.rows + sum(other.rows for other in others)
    assert 0.0 <= alone <= together <= SURE * one.least / one.rows * 0.2 * max(1.0, rows / 4)
