"""Batches that wait for more rows: the scheduler's rule 8."""

from rhapsode_server.engine.scheduler import Limits, Scheduler
from rhapsode_server.models.base import Outcome
from support.jobs import Jobs, add, rows


def test_a_batch_that_is_not_full_waits_for_more_where_a_delay_is_set() -> None:
    jobs: Jobs = Scheduler(3, Limits(8, 8, delay=0.5))
    add(jobs, "a", now=1.0)
    assert rows(jobs.plan(1.1)) == ""
    assert jobs.next_event == 1.5
    add(jobs, "b", now=1.2)
    assert rows(jobs.plan(1.4)) == ""
    plan = jobs.plan(1.5)
    assert rows(plan) == "ab"
    add(jobs, "c", now=1.6)
    jobs.complete(plan.batch, [Outcome(), Outcome()], 1.7)
    assert rows(jobs.plan(1.7)) == "abc"  # what has begun waits for nobody


def test_a_row_that_left_does_not_cut_the_wait_short() -> None:
    jobs: Jobs = Scheduler(3, Limits(8, 8, delay=0.5))
    gone = add(jobs, "a", now=0.0)
    plan = jobs.plan(0.5)
    jobs.complete(plan.batch, [Outcome()], 0.6)
    jobs.cancel(gone, 0.7)
    add(jobs, "b", now=0.8)
    assert rows(jobs.plan(0.8)) == ""
    assert rows(jobs.plan(1.3)) == "b"


def test_only_a_crowd_is_waited_for_where_its_delay_is_set() -> None:
    jobs: Jobs = Scheduler(3, Limits(8, 8, crowd_delay=0.5, crowd=2))
    add(jobs, "a", now=0.0)
    plan = jobs.plan(0.0)
    assert rows(plan) == "a"  # by itself
    add(jobs, "b", now=0.1)
    add(jobs, "c", now=0.1)
    jobs.complete(plan.batch, [Outcome(done=True)], 0.2)
    plan = jobs.plan(0.2)
    assert rows(plan) == "bc"  # after one by itself
    jobs.complete(plan.batch, [Outcome(done=True)] * 2, 0.3)
    add(jobs, "d", now=0.4)
    assert rows(jobs.plan(0.4)) == ""
    assert jobs.next_event == 0.9
    plan = jobs.plan(0.9)
    assert rows(plan) == "d"
    jobs.complete(plan.batch, [Outcome(done=True)], 1.0)
    add(jobs, "e", now=1.1)
    assert rows(jobs.plan(1.1)) == "e"  # the crowd has gone


def test_a_full_batch_does_not_wait() -> None:
    jobs: Jobs = Scheduler(2, Limits(8, 8, delay=0.5))
    add(jobs, "abc", now=1.0)
    assert rows(jobs.plan(1.0)) == "ab"
