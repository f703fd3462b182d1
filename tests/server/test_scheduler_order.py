"""Rows that are to end in order: a row of many steps goes on before its job's later rows begin."""

from rhapsode_server.engine.job import Job
from rhapsode_server.engine.scheduler import Limits, Scheduler
from rhapsode_server.models.base import Outcome

STEPS = 10


def ends(jobs: Scheduler[int, str], taken: dict[int, int], previews: bool, hold: Job[int] | None = None) -> list[int]:
    """Step until nothing is ready: the rows in the order of their ends; `hold` is parked in the middle for a while."""
    ended: list[int] = []
    runs = 0
    while plan := jobs.plan(0.0).batch:
        runs += 1
        for place in plan:
            taken[place.row] = taken.get(place.row, 0) + 1
        outcomes = [
            Outcome(["seen"] if previews or taken[place.row] == STEPS else [], done=taken[place.row] == STEPS)
            for place in plan
        ]
        ended += [place.row for place, outcome in zip(plan, outcomes, strict=True) if outcome.done]
        jobs.complete(plan, outcomes, 1.0)
        if hold is not None and runs % 7 == 3:
            jobs.park(hold, 0.0)
            jobs.plan(0.0)
            jobs.unpark(hold)
    return ended


def test_pictures_of_many_steps_come_one_after_another() -> None:
    jobs: Scheduler[int, str] = Scheduler(4, Limits(in_order=True))
    jobs.add(Job(range(40), 0.0), 0.0)
    assert ends(jobs, {}, previews=False) == list(range(40))


def test_the_first_picture_does_not_wait_for_all_others() -> None:
    jobs: Scheduler[int, str] = Scheduler(4, Limits(in_order=True))
    taken: dict[int, int] = {}
    jobs.add(Job(range(1000), 0.0), 0.0)
    for _ in range(STEPS):
        plan = jobs.plan(0.0).batch
        for place in plan:
            taken[place.row] = taken.get(place.row, 0) + 1
        jobs.complete(plan, [Outcome(done=taken[place.row] == STEPS) for place in plan], 1.0)
    assert taken == dict.fromkeys(range(4), STEPS)


def test_previews_and_parking_leave_no_row_behind() -> None:
    jobs: Scheduler[int, str] = Scheduler(4, Limits(in_order=True))
    job = Job(range(40), 0.0)
    jobs.add(job, 0.0)
    order = ends(jobs, {}, previews=True, hold=job)
    assert sorted(order) == list(range(40))
    assert all(abs(row - place) < 4 for place, row in enumerate(order))


def test_another_job_has_its_turn_all_the_same() -> None:
    jobs: Scheduler[int, str] = Scheduler(2, Limits(in_order=True))
    jobs.add(Job(range(1000), 0.0), 0.0)
    jobs.complete(jobs.plan(0.0).batch, [Outcome()] * 2, 1.0)
    jobs.add(Job([5000], 0.0), 0.0)
    for _ in range(4):
        plan = jobs.plan(0.0).batch
        if any(place.row == 5000 for place in plan):
            break
        jobs.complete(plan, [Outcome()] * len(plan), 1.0)
    assert any(place.row == 5000 for place in plan)
