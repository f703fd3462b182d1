"""The breaker, rule by rule, and on any course of events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.errors import DeviceLost, ModelUnhealthy, QueueFull

LIMIT, PAUSE = 3, 5.0


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(LIMIT, PAUSE)
    assert [breaker.failed(now) for _ in range(LIMIT)] == [False] * (LIMIT - 1) + [True]
    return breaker


def lets_through(breaker: Breaker, now: float) -> bool:
    try:
        breaker.check(now)
        breaker.accepted(now)
    except ModelUnhealthy:
        return False
    return True


def test_rule_1_failures_in_a_row_open_it() -> None:
    breaker = opened()
    with pytest.raises(ModelUnhealthy, match="the last 3 runs of the model failed"):
        breaker.check(PAUSE - 0.1)


def test_rule_1_a_run_that_goes_well_between_them_begins_the_count_anew() -> None:
    breaker = Breaker(LIMIT, PAUSE)
    for _ in range(10):
        assert not breaker.failed(0)
        assert not breaker.failed(0)
        assert not breaker.succeeded()
    assert lets_through(breaker, 0)


def test_rule_2_one_job_a_pause_may_try() -> None:
    breaker = opened()
    assert [lets_through(breaker, now) for now in (4.9, 5, 5, 9.9, 10, 10)] == [False, True, False, False, True, False]
    assert breaker.succeeded()
    assert lets_through(breaker, 10)
    assert not breaker.open


def test_rule_2_a_job_that_is_refused_for_another_reason_was_no_try() -> None:
    breaker = opened()
    breaker.check(5)
    breaker.check(5.1)
    assert lets_through(breaker, 5.2)
    assert not lets_through(breaker, 10.1)


def test_rule_3_a_trial_that_fails_begins_the_pause_anew() -> None:
    breaker = opened()
    assert lets_through(breaker, 5)
    assert breaker.failed(8)
    assert not lets_through(breaker, 12.9)
    assert lets_through(breaker, 13)


def test_rule_4_what_is_condemned_stays_so() -> None:
    breaker = Breaker(LIMIT, PAUSE)
    breaker.condemn(DeviceLost("gone", {"gpu": "0"}))
    breaker.condemn(QueueFull("of no account"))
    breaker.succeeded()
    for now in (0, 100):
        with pytest.raises(DeviceLost, match="gone") as caught:
            breaker.check(now)
        assert caught.value.metadata == {"gpu": "0"}


@given(st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "check"]), st.floats(0, 4)), max_size=60))
def test_it_refuses_exactly_as_the_rules_say(course: list[tuple[str, float]]) -> None:
    breaker, now = Breaker(LIMIT, PAUSE), 0.0
    failures, free_from = 0, 0.0  # what the rules say: how many in a row, and when the next job may try
    for event, gap in course:
        now += gap
        if event == "failed":
            failures += 1
            free_from = now + PAUSE if failures >= LIMIT else free_from
            assert breaker.failed(now) == (failures >= LIMIT)
        elif event == "succeeded":
            assert breaker.succeeded() == (failures >= LIMIT)
            failures = 0
        else:
            free = failures < LIMIT or now >= free_from
            assert lets_through(breaker, now) == free
            free_from = now + PAUSE if free and failures >= LIMIT else free_from
        assert breaker.open == (failures >= LIMIT)
