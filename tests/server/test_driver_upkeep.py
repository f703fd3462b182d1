"""What a driver keeps of jobs and runs, where they end otherwise than they should."""

import asyncio
from collections.abc import Sequence

import pytest

from rhapsode_server.engine.breaker import Breaker
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.errors import DeadlineExpired, OutOfMemory
from rhapsode_server.models.base import Outcome
from support.countdown import Bench, Row, bench, read, until


def test_a_refused_job_is_no_try_of_a_model_that_failed() -> None:
    b = Bench(Limits())
    b.driver._breaker = Breaker(failures=1, pause=5.0)
    b.driver._breaker.failed(now=0.0)
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


