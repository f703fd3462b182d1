"""Long jobs have slots of their own: they keep no brief one waiting, nor are they kept waiting by brief ones."""

from collections import Counter

import pytest

from rhapsode_server.engine.job import Job
from rhapsode_server.engine.scheduler import Limits, Scheduler
from rhapsode_server.errors import QueueFull
from rhapsode_server.models.base import Outcome, Wanted

Row = list[int]  # [steps that it wants]
Jobs = Scheduler[Row, str]
BATCH = 8
PACE = 0.01  # seconds a step
MANY = 100_000


def lane(**limits: float) -> Jobs:
    given = {"slots": BATCH, "wait": 0.1} | limits
    return Scheduler(BATCH, Limits(**given), lambda row: Wanted(row[0], row[0]))  # type: ignore[arg-type]


def add(jobs: Jobs, steps: int, rows: int = 1, now: float = 0.0, deadline: float | None = None) -> Job[Row]:
    job = Job([[steps] for _ in range(rows)], now, deadline, whole=True)
    jobs.add(job, now)
    return job


def run(jobs: Jobs, now: float, times: int = 1) -> tuple[float, Counter[Job[Row]]]:
    """Some runs of a step each: their end, and how many rows of each job they had."""
    had: Counter[Job[Row]] = Counter()
    for _ in range(times):
        plan = jobs.plan(now)
        for place in plan.batch:
            place.row[0] -= 1
            had[place.job] += 1
        now += PACE
        jobs.complete(plan.batch, [Outcome(done=not place.row[0], made=1) for place in plan.batch], now)
    return now, had


@pytest.mark.parametrize(("steps", "rows"), [(1, MANY), (MANY, 1), (50, MANY)])
def test_as_many_long_jobs_as_there_are_slots_keep_no_brief_one_waiting(steps: int, rows: int) -> None:
    jobs = lane()
    streams = [add(jobs, steps, rows) for _ in range(BATCH)]
    now, _ = run(jobs, 0.0)
    brief = [add(jobs, 1, now=now, deadline=now + 1.0) for _ in range(BATCH)]
    now, _ = run(jobs, now, times=8)
    assert all(job.complete for job in brief)
    _, had = run(jobs, now, times=8)
    assert min(had[stream] for stream in streams) > 0


def test_a_burst_of_long_jobs_that_came_before_the_speed_was_known_keeps_nobody_waiting() -> None:
    jobs = lane()
    streams = [add(jobs, 1, MANY) for _ in range(5 * BATCH)]
    brief = add(jobs, 1)
    assert (jobs.active, jobs.queued) == (BATCH, 4 * BATCH + 1)
    now, _ = run(jobs, 0.0)
    assert (jobs.active, jobs.queued) == (BATCH + 1, 4 * BATCH)
    late = add(jobs, 1, now=now)
    run(jobs, now, times=3)
    assert (brief.complete, late.complete) == (True, True)
    assert not any(stream.complete for stream in streams)


def test_long_jobs_wait_for_long_ones() -> None:
    jobs = lane()
    streams = [add(jobs, 1, MANY) for _ in range(BATCH)]
    now, _ = run(jobs, 0.0)
    with pytest.raises(QueueFull):
        add(jobs, 1, MANY, now=now)
    assert jobs.room == jobs.active == BATCH  # no more long ones
    jobs.cancel(streams[0], now)
    assert jobs.room == BATCH
    assert add(jobs, 1, MANY, now=now).started is None
    assert jobs.active == BATCH


def test_brief_jobs_without_end_do_not_keep_a_long_one_from_its_turn() -> None:
    jobs = lane()
    now, _ = run(jobs, 0.0)
    add(jobs, 1)
    now, _ = run(jobs, now)
    long = add(jobs, 1, MANY, now=now)
    had: Counter[Job[Row]] = Counter()
    for _ in range(50):
        while jobs.active < 1 + BATCH:
            add(jobs, 1, now=now)
        now, some = run(jobs, now)
        had += some
    assert had[long] >= 25


def test_a_crowd_of_brief_jobs_is_bounded_as_before() -> None:
    jobs = lane()
    for _ in range(BATCH):
        add(jobs, 1, MANY)
    now, _ = run(jobs, 0.0)
    for _ in range(BATCH):
        add(jobs, 50, now=now)
    with pytest.raises(QueueFull) as refusal:
        add(jobs, 1, now=now)
    assert refusal.value.metadata["expected_wait"] == "1.0"  # fifty steps, of which each takes two runs
    with pytest.raises(QueueFull):
        jobs.check_room(1, 1, now)


def test_whoever_asks_for_room_is_told_of_his_kind() -> None:
    jobs = lane()
    for _ in range(BATCH):
        add(jobs, 1, MANY)
    now, _ = run(jobs, 0.0)
    jobs.check_room(1, 1, now)
    with pytest.raises(QueueFull):
        jobs.check_room(MANY, 1, now)
    assert jobs.expected_wait(now) > 100.0  # of a long one
