"""Who gets a slot, who is refused at once, who gives his up: the scheduler's rules 1, 6 and 7, with values alone."""

from itertools import pairwise

import pytest

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.scheduler import Limits, Scheduler
from rhapsode_server.errors import ClientTooSlow, DeadlineExpired, DeadlineTooShort, QueueFull
from rhapsode_server.models.base import Outcome, Wanted

Row = list[int]  # [steps that it wants, 1 where it may end before]
Jobs = Scheduler[Row, str]
PACE = 0.1  # seconds a step


def wants(row: Row) -> Wanted:
    return Wanted(1 if len(row) > 1 else row[0], row[0])


def lane(slots: int = 2, **limits: float) -> Jobs:
    given = {"turn": 1, "wait": 5.0, "long": 1e9} | limits
    return Scheduler(slots, Limits(slots, **given), wants)  # type: ignore[arg-type]


def add(jobs: Jobs, *rows: Row, deadline: float | None = None, now: float = 0.0, whole: bool = True) -> Job[Row]:
    job = Job(rows, now, deadline, whole=whole)
    jobs.add(job, now)
    return job


def run(jobs: Jobs, steps: int = 1, now: float = 0.0, each: float = 0.0) -> float:
    """A run of so many steps that begins now, and takes `each` times as long more for each further row: its end."""
    plan = jobs.plan(now)
    taken = [min(place.row[0], steps) for place in plan.batch]
    for place, count in zip(plan.batch, taken, strict=True):
        place.row[0] -= count
    ended = now + steps * PACE * (1 + each * (len(plan.batch) - 1))
    jobs.complete(plan.batch, [Outcome(done=place.row[0] == 0) for place in plan.batch], ended)
    return ended


def test_an_unknown_speed_refuses_nothing() -> None:
    jobs = lane()
    for _ in range(10):
        add(jobs, [10_000], deadline=0.1)
    assert (jobs.active, jobs.queued, jobs.expected_wait(0.0)) == (2, 8, 0.0)


def test_who_would_wait_too_long_is_refused_at_once() -> None:
    jobs = lane()
    add(jobs, [60]), add(jobs, [100])
    now = run(jobs, 10)
    assert jobs.expected_wait(now) == pytest.approx(5.0)
    add(jobs, [3], now=now)
    assert jobs.expected_wait(now) == pytest.approx(5.3)
    with pytest.raises(QueueFull) as refusal:
        add(jobs, [1], now=now)
    assert refusal.value.metadata == {"expected_wait": "5.3", "queue_wait": "5"}
    assert jobs.expected_wait(now + 0.4) == pytest.approx(4.9)  # time passes while a run is under way
    add(jobs, [1], now=now + 0.4)


def test_a_crowd_that_comes_after_a_rest_has_to_wait_like_any_other() -> None:
    jobs = lane()
    add(jobs, [1])
    run(jobs)
    add(jobs, [60], now=1000.0), add(jobs, [60], now=1000.0)
    jobs.plan(1000.0)
    assert jobs.expected_wait(1000.1) == pytest.approx(5.9)


def test_those_who_are_refused_are_not_told_to_come_back_at_once_nor_all_together() -> None:
    jobs = lane()
    add(jobs, [90]), add(jobs, [90])
    now = run(jobs, 10)
    seconds = []
    for _ in range(20):
        with pytest.raises(QueueFull) as refusal:
            add(jobs, [1], now=now)
        seconds.append(refusal.value.seconds or 0.0)
    assert min(seconds) >= 5.0 == max(seconds)  # as long as the wait, and no longer than is sensible
    brief = lane(slots=1, queue=1)
    add(brief, [1]), add(brief, [1])
    for _ in range(20):
        with pytest.raises(QueueFull) as refusal:
            add(brief, [1])
        seconds.append(refusal.value.seconds or 0.0)
    spread = sorted(seconds[20:])
    assert 0.3 <= spread[0] < spread[-1] <= 0.6
    assert max(later - sooner for sooner, later in pairwise(spread)) < 0.05


def test_what_cannot_begin_by_its_deadline_is_refused_at_once() -> None:
    jobs = lane(slots=1)
    add(jobs, [50])
    now = run(jobs, 10)  # 4 seconds are left
    with pytest.raises(DeadlineTooShort):
        add(jobs, [1], deadline=now + 1.9, now=now, whole=False)
    add(jobs, [1], deadline=now + 2.1, now=now, whole=False)  # those who are served may leave before


def test_what_cannot_be_done_by_its_deadline_is_refused_where_nothing_less_is_of_use() -> None:
    jobs = lane(slots=2)
    add(jobs, [1000])
    now = run(jobs, 10)
    with pytest.raises(DeadlineTooShort):
        add(jobs, [100], deadline=now + 4.9, now=now)
    add(jobs, [100], deadline=now + 5.1, now=now)


def test_what_may_end_early_or_can_be_read_in_part_is_not_refused_for_its_length() -> None:
    jobs = lane(slots=3)
    add(jobs, [1000])
    now = run(jobs, 10)
    add(jobs, [100], deadline=now + 1.0, now=now, whole=False)
    add(jobs, [100, 1], deadline=now + 1.0, now=now)


def test_whoever_is_alone_is_not_refused_for_a_forecast() -> None:
    jobs = lane()
    add(jobs, [1])
    now = run(jobs)
    add(jobs, [1000], deadline=now + 0.1, now=now)


def test_what_has_expired_while_it_waited_never_runs() -> None:
    jobs = lane(slots=1)
    add(jobs, [3])
    late = add(jobs, [1], deadline=0.1)
    now = run(jobs, 2)
    plan = jobs.plan(now)
    assert [(report.job, type(report.error)) for report in plan.expired] == [(late, DeadlineExpired)]
    assert [place.job for place in plan.batch] != [late]
    assert late.started is None


def test_what_has_expired_between_two_steps_runs_no_more() -> None:
    jobs = lane()
    late = add(jobs, [9], deadline=0.15)
    now = run(jobs, 2)
    plan = jobs.plan(now)
    assert (list(plan.batch), [report.job for report in plan.expired]) == ([], [late])
    assert jobs.active == 0


def test_a_parked_job_gives_its_slot_up_and_gets_the_next_one_before_those_who_have_not_begun() -> None:
    jobs = lane(slots=1)
    slow = add(jobs, [5])
    now = run(jobs)
    jobs.park(slow, now)
    assert (jobs.active, jobs.parked) == (0, 1)
    other, third = add(jobs, [2], now=now), add(jobs, [2], now=now)
    assert other.stage is Stage.ACTIVE
    jobs.unpark(slow)
    assert (slow.stage, jobs.queued, jobs.parked) == (Stage.QUEUED, 2, 0)
    now = run(jobs, 2, now)
    assert (other.stage, slow.stage, third.stage) == (Stage.CLOSED, Stage.ACTIVE, Stage.QUEUED)
    run(jobs, 4, now)
    assert slow.complete


def test_a_job_that_is_parked_while_it_waits_does_not_hold_the_others_up() -> None:
    jobs = lane(slots=1)
    first, slow, third = add(jobs, [1]), add(jobs, [1]), add(jobs, [1])
    jobs.park(slow, 0.0)
    run(jobs)
    assert (first.stage, slow.stage, third.stage) == (Stage.CLOSED, Stage.PARKED, Stage.ACTIVE)
    assert jobs.cancel(slow, 1.0) == "queued"
    assert jobs.parked == 0


def test_where_too_many_are_parked_the_longest_parked_ends() -> None:
    jobs = lane(slots=3, parked=2)
    slow = [add(jobs, [5]) for _ in range(3)]
    assert [jobs.park(job, 0.0) for job in slow[:2]] == [[], []]
    jobs.unpark(slow[0])
    jobs.park(slow[0], 0.0)
    (report,) = jobs.park(slow[2], 0.0)
    assert (report.job, type(report.error), report.closed) == (slow[1], ClientTooSlow, True)
    assert (jobs.active, jobs.parked, slow[1].stage) == (0, 2, Stage.CLOSED)


def test_a_crowd_gets_as_many_slots_as_are_enough_until_it_has_gone() -> None:
    jobs = lane(slots=16, wait=1e9)
    add(jobs, [1])
    now = run(jobs)
    for _ in range(16):
        add(jobs, [30], now=now)
    # A run of sixteen rows takes sixteen times as long as one of a single row: half is enough.
    now = run(jobs, 10, now, each=1.0)
    assert jobs.active == 16  # nobody loses his slot
    for _ in range(10):
        add(jobs, [30], now=now)
    now = run(jobs, 20, now, each=1.0)
    assert (jobs.active, jobs.queued) == (8, 2)
    now = run(jobs, 30, now, each=1.0)
    assert (jobs.active, jobs.queued) == (2, 0)
    run(jobs, 30, now, each=1.0)
    for _ in range(17):
        add(jobs, [30], now=now)
    assert (jobs.active, jobs.queued) == (16, 1)


def test_a_short_job_that_finds_no_slot_tells_of_the_crowd_too() -> None:
    jobs = lane(slots=16, wait=1e9)
    add(jobs, [1])
    now = run(jobs)
    for _ in range(16):
        add(jobs, [30], now=now)
    now = run(jobs, 10, now, each=1.0)
    for _ in range(10):
        add(jobs, [1], now=now)
    run(jobs, 20, now, each=1.0)
    assert (jobs.active, jobs.queued) == (8, 2)


def test_a_job_that_is_longer_than_others_were_is_not_expected_to_end_at_once() -> None:
    jobs = lane(slots=2)
    add(jobs, [10, 1], deadline=None)
    now = run(jobs, 10)
    for _ in range(2):
        add(jobs, [1000, 1], now=now)
    now = run(jobs, 5, now)
    assert jobs.expected_wait(now) == pytest.approx(0.5)
    now = run(jobs, 55, now)
    assert jobs.expected_wait(now) == pytest.approx(6.0)
    with pytest.raises(QueueFull):
        add(jobs, [1], now=now)


def test_a_job_of_many_rows_does_not_take_the_slots_of_others() -> None:
    jobs = lane(slots=16, wait=1e9)
    add(jobs, [1])
    now = run(jobs)
    many = [add(jobs, *([30] for _ in range(500)), now=now) for _ in range(17)]
    now = run(jobs, 1, now, each=1.0)
    assert (jobs.active, jobs.queued) == (16, 1)
    for job in many[:9]:
        jobs.cancel(job, now)
    assert (jobs.active, jobs.queued) == (8, 0)
    assert jobs.room == 8
