"""The scheduler's rules, tested with values alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.scheduler import Limits, Plan, Report, Scheduler
from rhapsode_server.errors import DeadlineExpired, NonFiniteOutput, QueueFull, RunFailed
from rhapsode_server.models.base import Outcome
from support.jobs import Jobs, add, rows


def scheduler(max_batch: int = 4, slots: int = 8, queue: int = 8, turn: int = 1) -> Jobs:
    return Scheduler(max_batch, Limits(slots, queue, turn=turn))


def step(jobs: Jobs, plan: Plan[str, str], done: str = "", now: float = 1.0) -> list[Report[str, str]]:
    """Complete a run in which every row says its own name, and the rows in `done` are done."""
    outcomes = [Outcome([place.row], done=place.row in done) for place in plan.batch]
    return jobs.complete(plan.batch, outcomes, now)


def told(reports: list[Report[str, str]], job: Job[str]) -> str:
    return "".join(d.row for report in reports if report.job is job for d in report.deliveries)


def test_a_row_that_leaves_in_mid_batch_does_not_touch_its_batch_mates() -> None:
    jobs = scheduler()
    first, leaver, last = add(jobs, "a"), add(jobs, "b"), add(jobs, "c")
    plan = jobs.plan(0.0)
    assert rows(plan) == "abc"
    assert jobs.cancel(leaver, 0.5) == "running"
    reports = step(jobs, plan, done="c")
    assert [report.job for report in reports] == [first, last]
    assert told(reports, first) == "a"
    assert [report.closed for report in reports] == [False, True]
    assert rows(jobs.plan(2.0)) == "a"


def test_rows_are_taken_in_turn_so_that_a_large_job_does_not_starve_a_small_one() -> None:
    jobs = scheduler(max_batch=4)
    add(jobs, "A" * 10_000)
    add(jobs, "b")
    add(jobs, "cc")
    assert rows(jobs.plan(0.0)) == "AbcA"


def test_rows_of_one_job_run_in_their_order() -> None:
    jobs = scheduler(max_batch=2)
    job = add(jobs, "abcde")
    seen = ""
    while not job.exhausted:
        plan = jobs.plan(0.0)
        seen += told(step(jobs, plan, done="abcde"), job)
    assert seen == "abcde"
    assert job.stage is Stage.CLOSED


def test_a_row_is_not_planned_again_before_its_run_is_complete() -> None:
    jobs = scheduler()
    add(jobs, "ab")
    plan = jobs.plan(0.0)
    assert rows(plan) == "ab"
    assert rows(jobs.plan(0.0)) == ""
    step(jobs, plan)
    assert rows(jobs.plan(0.0)) == "ab"


def test_more_streams_than_fit_a_batch_take_turns() -> None:
    jobs = scheduler(max_batch=2, turn=1)
    for name in "abc":
        add(jobs, name)
    batches = []
    for _ in range(3):
        plan = jobs.plan(0.0)
        batches.append(rows(plan))
        step(jobs, plan)
    assert batches == ["ab", "ca", "bc"]


def test_a_turn_is_a_few_runs_and_ends_with_the_first_news() -> None:
    jobs = scheduler(max_batch=2, turn=3)
    for name in "abcd":
        add(jobs, name)
    batches = []
    for number in range(8):
        plan = jobs.plan(0.0)
        batches.append(rows(plan))
        events = ["x"] if number else []  # the first run primes; the first news end a turn
        jobs.complete(plan.batch, [Outcome(events) for _ in plan.batch], 0.0)
    assert batches == ["ab", "ab", "cd", "ab", "ab", "ab", "cd", "cd"]


def test_a_row_that_keeps_its_place_leaves_with_its_job_or_waits_with_it() -> None:
    jobs = scheduler(max_batch=2, turn=9)
    gone, slow, other = (add(jobs, name) for name in "abc")
    plan = jobs.plan(0.0)
    jobs.complete(plan.batch, [Outcome(["x"]), Outcome(["x"])], 0.0)
    jobs.cancel(gone, 0.0)
    jobs.park(slow, 0.0)
    assert rows(jobs.plan(1.0)) == "c"
    jobs.unpark(slow)
    assert rows(jobs.plan(2.0)) == "b"
    assert other.running == slow.running == 1


def test_the_queue_is_bounded_and_a_slot_that_is_freed_goes_to_the_next_in_line() -> None:
    jobs = scheduler(slots=1, queue=1)
    active, queued = add(jobs, "a"), add(jobs, "b")
    with pytest.raises(QueueFull) as refusal:
        add(jobs, "c")
    assert refusal.value.metadata == {"slots": "1", "queue": "1"}
    assert (jobs.active, jobs.queued) == (1, 1)
    jobs.cancel(active, 0.0)
    assert (jobs.active, jobs.queued, queued.stage) == (1, 0, Stage.ACTIVE)
    assert rows(jobs.plan(0.0)) == "b"


def test_a_job_that_is_late_is_refused_when_it_arrives() -> None:
    with pytest.raises(DeadlineExpired):
        add(scheduler(), "a", deadline=1.0, now=1.0)


def test_expired_work_is_never_put_into_a_batch() -> None:
    jobs = scheduler(slots=1)
    running, waiting = add(jobs, "a", deadline=5.0), add(jobs, "b", deadline=3.0)
    assert jobs.next_event == 3.0
    plan = jobs.plan(4.0)
    assert [report.job for report in plan.expired] == [waiting]
    assert isinstance(plan.expired[0].error, DeadlineExpired)
    assert rows(plan) == "a"
    late = jobs.plan(5.0)
    assert [report.job for report in late.expired] == [running]
    assert step(jobs, plan) == []
    assert rows(jobs.plan(6.0)) == ""


def test_a_parked_job_gives_no_rows_and_loses_none() -> None:
    jobs = scheduler()
    parked, other = add(jobs, "ab"), add(jobs, "c")
    jobs.park(parked, 0.0)
    plan = jobs.plan(0.0)
    assert rows(plan) == "c"
    step(jobs, plan)
    jobs.unpark(parked)
    jobs.unpark(parked)
    assert sorted(rows(jobs.plan(0.0))) == ["a", "b", "c"]
    assert other.stage is Stage.ACTIVE


def test_a_job_parked_while_it_runs_is_reported_and_then_rests() -> None:
    jobs = scheduler()
    job = add(jobs, "a")
    plan = jobs.plan(0.0)
    jobs.park(job, 0.0)
    assert told(step(jobs, plan), job) == "a"
    assert rows(jobs.plan(0.0)) == ""
    jobs.unpark(job)
    assert rows(jobs.plan(0.0)) == "a"


def test_a_failed_row_ends_its_job_and_no_other() -> None:
    jobs = scheduler()
    failing, other = add(jobs, "ab"), add(jobs, "c")
    plan = jobs.plan(0.0)
    outcomes: list[Outcome[str]] = [
        Outcome(done=True, error=NonFiniteOutput("NaN")) if place.row == "a" else Outcome([place.row])
        for place in plan.batch
    ]
    reports = {report.job: report for report in jobs.complete(plan.batch, outcomes, 1.0)}
    assert isinstance(reports[failing].error, NonFiniteOutput)
    assert reports[other].error is None
    assert rows(jobs.plan(2.0)) == "c"


def test_a_failed_run_ends_the_jobs_of_its_batch_and_no_other() -> None:
    jobs = scheduler(max_batch=2)
    add(jobs, "a"), add(jobs, "b"), add(jobs, "c")
    plan = jobs.plan(0.0)
    reports = jobs.fail(plan.batch, RunFailed("out of memory"), 1.0)
    assert [(report.closed, type(report.error)) for report in reports] == [(True, RunFailed), (True, RunFailed)]
    assert rows(jobs.plan(2.0)) == "c"


def test_timings_are_of_arrival_first_run_first_event_and_end() -> None:
    jobs = scheduler()
    job = add(jobs, "a", now=1.0)
    plan = jobs.plan(3.0)
    assert plan.started == [job]
    jobs.complete(plan.batch, [Outcome()], 4.0)
    plan = jobs.plan(4.0)
    assert plan.started == []
    jobs.complete(plan.batch, [Outcome(["x"], done=True)], 6.0)
    assert (job.timings.queue_seconds, job.timings.first_event_seconds, job.timings.total_seconds) == (2.0, 5.0, 5.0)


def test_clearing_ends_queued_and_active_jobs_alike() -> None:
    jobs = scheduler(slots=1)
    add(jobs, "a"), add(jobs, "b")
    reports = jobs.clear(RunFailed("over"), 1.0)
    assert len(reports) == 2
    assert (jobs.active, jobs.queued) == (0, 0)


def test_jobs_that_left_early_are_not_kept_until_their_deadlines() -> None:
    jobs = scheduler()
    for _ in range(1000):
        jobs.cancel(add(jobs, "a", deadline=1e9), 0.0)
    assert len(jobs._deadlines) < 200


@given(st.lists(st.tuples(st.sampled_from(["add", "cancel", "park", "unpark", "run"]), st.integers(0, 5)), max_size=60))
def test_whatever_happens_every_row_ends_once_or_leaves_with_its_job(acts: list[tuple[str, int]]) -> None:
    """Rows want 1 to 3 steps; at the end all is unparked and run out."""
    jobs: Scheduler[list[int], int] = Scheduler(3, Limits(2, 3))
    accepted: list[Job[list[int]]] = []
    ended: dict[Job[list[int]], int] = {}

    def run() -> bool:
        plan = jobs.plan(0.0)
        assert len(plan.batch) <= 3
        assert len({id(place.row) for place in plan.batch}) == len(plan.batch)
        for place in plan.batch:
            assert place.job.stage is Stage.ACTIVE
            place.row[0] -= 1
        outcomes = [Outcome([place.row[0]], done=place.row[0] == 0) for place in plan.batch]
        for report in jobs.complete(plan.batch, outcomes, 0.0):
            assert report.job not in ended
            if report.closed:
                ended[report.job] = sum(row[0] for row in sizes[report.job])
        return bool(plan.batch)

    sizes: dict[Job[list[int]], list[list[int]]] = {}
    for act, number in acts:
        if act == "add":
            steps = [[1 + (number + extra) % 3] for extra in range(1 + number % 3)]
            job = Job(steps, 0.0)
            try:
                jobs.add(job, 0.0)
            except QueueFull:
                assert jobs.queued >= 3  # those who were parked come back whatever waits
                continue
            accepted.append(job)
            sizes[job] = steps
        elif act == "run":
            run()
        elif accepted:
            job = accepted[number % len(accepted)]
            if act == "cancel":
                jobs.cancel(job, 0.0)
            elif act == "park":
                jobs.park(job, 0.0)
            else:
                jobs.unpark(job)
    for job in accepted:
        jobs.unpark(job)
    while run():
        pass
    assert (jobs.active, jobs.queued, jobs.parked) == (0, 0, 0)
    assert all(job.stage is Stage.CLOSED for job in accepted)
    assert all(left == 0 for left in ended.values())
