"""What a driver keeps of jobs and runs, where they end otherwise than they should."""

import asyncio
from collections.abc import Sequence

import pytest

from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import DeadlineExpired, OutOfMemory
from rhapsode_server.models.base import Outcome
from support.countdown import Bench, Row, bench, read, until


async def test_a_job_that_ended_before_it_could_be_parked_has_not_stalled() -> None:
    async with bench() as b:
        async with b.submit(3) as outbox:
            await until(lambda: outbox._job.complete)
            b.driver.park(outbox._job)
        assert b.metric("rhapsode_streams_stalled_total") == 0


def test_a_refused_job_is_no_try_of_a_model_that_failed() -> None:
    b = Bench(Limits())
    b.driver._condition.breaker = Breaker(failures=1, pause=5.0)
    b.driver._condition.breaker.failed(now=0.0)
    b.driver._clock = lambda: 10.0
    with pytest.raises(DeadlineExpired):
        b.submit(1, deadline=9.0)
    assert b.submit(1)


async def test_each_part_of_a_batch_that_is_halved_is_a_run_of_its_own() -> None:
    """The watchdog must not take many slow ones for one that hangs."""
    async with bench() as b:
        seen: list[tuple[int, int]] = []

        def cramped(rows: Sequence[Row]) -> Sequence[Outcome[int]]:
            assert b.driver.run is not None
            seen.append((b.driver.run.number, b.driver.run.rows))
            if len(rows) > 1:
                raise OutOfMemory("there was not the memory")
            return [Outcome([0], done=True)]

        b.model.advance = cramped  # type: ignore[method-assign]
        assert await read(b.submit(1, 1, 1, 1)) == [0] * 4
        assert seen == list(enumerate((4, 2, 1, 1, 2, 1, 1), start=1))


async def test_a_driver_that_has_stopped_expects_nothing_and_holds_nothing() -> None:
    async with bench(slots=1) as b:
        b.driver._condition.breaker = Breaker(failures=1, pause=600)
        b.model.go.clear()
        b.model.fault = ZeroDivisionError()
        b.submit(1), b.submit(1)
        await until(b.model.running.is_set)
        stopping = asyncio.create_task(b.driver.stop())
        await asyncio.sleep(0)
        assert b.metric("rhapsode_active_slots") == b.metric("rhapsode_queue_depth") == 0
        b.model.go.set()  # the run that fails is the last
        await stopping
        await until(lambda: b.driver._condition.breaker.open)
        await asyncio.sleep(0)
        assert b.driver._condition._well_again is None
