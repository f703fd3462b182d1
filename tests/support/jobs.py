"""Jobs whose rows are letters, for tests of the scheduler."""

from rhapsode_server.engine.job import Job
from rhapsode_server.engine.scheduler import Plan, Scheduler

Jobs = Scheduler[str, str]


def add(jobs: Jobs, rows: str, deadline: float | None = None, now: float = 0.0) -> Job[str]:
    """Add a job of these rows; it."""
    job: Job[str] = Job(rows, now, deadline)
    jobs.add(job, now)
    return job


def rows(plan: Plan[str, str]) -> str:
    """The rows of a plan's batch."""
    return "".join(place.row for place in plan.batch)
