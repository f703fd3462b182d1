"""The scheduler under every order of events that hypothesis can think of, held to the rules at the head of its file.

The machine speaks to it as the driver does, through its public methods; one run is under way at a time.
"""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rhapsode_server.engine.job import Job, Stage
from rhapsode_server.engine.scheduler import SPARE_DEADLINES, Limits, Place, Plan, Report, Scheduler
from rhapsode_server.errors import ClientTooSlow, DeadlineExpired, Refusal, RhapsodeError, RunFailed, ShuttingDown
from rhapsode_server.models.base import Outcome
from support.broken_schedulers import (
    CountsTwice,
    ForgetsJobs,
    Jobs,
    KnowsNoDeadlines,
    LeaksSlots,
    Row,
    RunsTwice,
    TellsTwice,
)

STEPS = settings(
    max_examples=60, derandomize=True, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
QUICKLY = settings(STEPS, phases=[Phase.generate], print_blob=False, max_examples=300)
UNFAIR = 400  # runs in which any job that is left comes to its end


class Machine(RuleBasedStateMachine):
    """What the scheduler is told, and a simple account of what it must then hold."""

    make: type[Jobs] = Scheduler

    @initialize(
        max_batch=st.integers(1, 5),
        slots=st.integers(1, 4),
        queue=st.integers(0, 4),
        turn=st.integers(1, 3),
        in_order=st.booleans(),
        times=st.tuples(
            st.sampled_from([0.0, 0.0, 0.5]),
            st.sampled_from([float("inf"), 4.0, 0.5]),
            st.sampled_from([1e9, 5.0, 0.5]),
        ),
        parked=st.integers(1, 3),
    )
    def begin(
        self,
        max_batch: int,
        slots: int,
        queue: int,
        turn: int,
        in_order: bool,
        times: tuple[float, float, float],
        parked: int,
    ) -> None:
        delay, wait, long = times
        self.now = 0.0
        self.max_batch = max_batch
        self.limits = Limits(
            slots=slots, queue=queue, turn=turn, in_order=in_order, delay=delay, wait=wait, long=long, parked=parked
        )
        self.jobs = self.make(max_batch, self.limits, lambda row: row.wanted)
        self.open: list[Job[Row]] = []
        self.all: list[Job[Row]] = []
        self.batch: Sequence[Place[Row]] = ()
        self.told: Counter[int] = Counter()
        self.left: set[int] = set()
        self.rows: dict[int, list[Row]] = {}

    @rule(
        steps=st.lists(st.integers(1, 4), min_size=1, max_size=4),
        more=st.sampled_from([0, 0, 3]),
        patience=st.none() | st.floats(-0.5, 8.0),
        whole=st.booleans(),
    )
    def add(self, steps: list[int], more: int, patience: float | None, whole: bool) -> None:
        deadline = None if patience is None else self.now + patience
        rows = [Row(count, more) for count in steps]
        job = Job(rows, self.now, deadline, whole=whole)
        before = (self.jobs.active, self.jobs.queued)
        try:
            self.jobs.add(job, self.now)
        except DeadlineExpired:
            assert deadline is not None
            assert deadline <= self.now
        except Refusal:
            # An estimate may refuse more than the bound does, never what finds the model empty and has no deadline.
            assert deadline is not None or before != (0, 0)
            assert (self.jobs.active, self.jobs.queued) == before
        else:
            assert deadline is None or deadline > self.now
            assert before[0] < 2 * self.limits.slots or before[1] < self.limits.queue
            self.open.append(job)
            self.all.append(job)
            self.rows[id(job)] = rows

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.all))
        was_open, had_started = job in self.open, job.started is not None
        told = self.jobs.cancel(job, self.now)
        assert told == (("running" if had_started else "queued") if was_open else None)
        if was_open:
            self.open.remove(job)
            self.left.add(id(job))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        self._close(self.jobs.park(data.draw(st.sampled_from(self.open)), self.now))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def unpark(self, data: st.DataObject) -> None:
        self.jobs.unpark(data.draw(st.sampled_from(self.open)))

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.batch)
    @rule()
    def plan(self) -> None:
        self._take(self.jobs.plan(self.now))

    @precondition(lambda self: self.batch)
    @rule()
    def complete(self) -> None:
        batch, self.batch = self.batch, ()
        self._close(self.jobs.complete(batch, [_step(place.row) for place in batch], self.now))

    @precondition(lambda self: self.batch)
    @rule()
    def fail(self) -> None:
        batch, self.batch = self.batch, ()
        self._close(self.jobs.fail(batch, RunFailed("broken"), self.now))
        assert not any(place.job in self.open for place in batch)

    @precondition(lambda self: not self.batch)
    @rule()
    def clear(self) -> None:
        self._close(self.jobs.clear(ShuttingDown("stopping"), self.now))
        assert not self.open

    @invariant()
    def counts_hold(self) -> None:
        assert self.jobs.active <= 2 * self.limits.slots  # brief and long ones
        assert self.jobs.parked <= self.limits.parked
        assert self.jobs.queued <= self.limits.queue + 2 * self.limits.parked  # who may wait for a slot again
        assert self.jobs.active + self.jobs.queued <= len(self.open)
        assert all((job.stage is Stage.CLOSED) == (job not in self.open) for job in self.all)

    @invariant()
    def work_is_what_its_rows_want(self) -> None:
        for job in self.open:
            wanted = [row.wanted.most for row in self.rows[id(job)] if row.left]
            assert (job.work.rows, job.work.left) == (len(wanted), sum(wanted))

    @invariant()
    def deadlines_are_bounded(self) -> None:
        assert len(self.jobs._deadlines) <= 2 * len(self.open) + SPARE_DEADLINES + 1

    @invariant()
    def time_is_known(self) -> None:
        """Whatever can expire or is held back is announced, so that the driver does not sleep over it."""
        due = [job.deadline for job in self.open if job.deadline is not None]
        event = self.jobs.next_event
        assert not due or (event is not None and event <= min(due))

    def teardown(self) -> None:
        """Every job comes to its end when readers read and runs go on."""
        for job in self.open:
            self.jobs.unpark(job)
        for _ in range(UNFAIR):
            if self.batch:
                self.complete()
            if not self.open:
                break
            self.now += 1.0
            self.plan()
        assert not self.open, f"never ended: {self.open}"
        assert self.jobs.active == 0
        assert self.jobs.queued == 0

    def _take(self, plan: Plan[Row, str]) -> None:
        self._close(plan.expired)
        assert not any(job.deadline is not None and job.deadline <= self.now for job in self.open)
        assert len(plan.batch) <= self.max_batch
        assert len({id(place.row) for place in plan.batch}) == len(plan.batch)
        for place in plan.batch:
            assert place.job in self.open
            assert not place.job.parked
            assert place.row.left > 0
            assert place.job.deadline is None or place.job.deadline > self.now
            assert 1 <= place.runs <= self.limits.turn
        for job in plan.started:
            assert job.started == self.now
        if self.limits.in_order:
            self._check_order(plan.batch)
        self.batch = plan.batch

    def _check_order(self, batch: Sequence[Place[Row]]) -> None:
        """Where rows end in order, none is left out while a later one of its job runs."""
        running = {id(place.row) for place in batch}
        for job in {place.job for place in batch}:
            runs = [id(row) in running for row in self.rows[id(job)] if row.left > 0]
            assert runs == sorted(runs, reverse=True)

    def _close(self, reports: Sequence[Report[Row, str]]) -> None:
        for report in reports:
            assert id(report.job) not in self.left, "news of a job that has left"
            assert report.job in self.open, "news of a job that was closed"
            if report.closed:
                self.told[id(report.job)] += 1
                assert self.told[id(report.job)] == 1
                self.open.remove(report.job)
                assert report.error is not None or report.job.complete
                self._check_error(report.error)
            else:
                assert report.error is None

    def _check_error(self, error: RhapsodeError | None) -> None:
        if isinstance(error, DeadlineExpired | ClientTooSlow):
            return
        assert error is None or isinstance(error, RunFailed | ShuttingDown)


def _step(row: Row) -> Outcome[str]:
    row.left -= 1
    return Outcome(("event",), done=row.left == 0, made=1)


def test_the_scheduler_keeps_its_rules() -> None:
    run_state_machine_as_test(Machine, settings=STEPS)


@pytest.mark.parametrize("broken", [LeaksSlots, KnowsNoDeadlines, RunsTwice, ForgetsJobs, TellsTwice, CountsTwice])
def test_a_scheduler_that_breaks_a_rule_is_found(broken: type[Jobs]) -> None:
    machine = type("Broken", (Machine,), {"make": broken})
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(machine, settings=QUICKLY)
