"""The driver's thread and the outbox: what happens between a model and its readers."""

import asyncio

import pytest

from rhapsode_server.engine.outbox import Outbox, Pace
from rhapsode_server.engine.scheduler import Delivery, Report
from rhapsode_server.errors import DeadlineExpired, NonFiniteOutput, QueueFull, RunFailed, ShuttingDown
from support.countdown import Row, bench, read, until


async def test_a_job_is_stepped_to_its_end_and_told_in_order() -> None:
    async with bench() as b:
        assert await read(b.submit(5)) == [4, 3, 2, 1, 0]
        assert b.metric("rhapsode_active_slots") == 0
        assert b.metric("rhapsode_rows_per_run_count") == 5


async def test_jobs_share_runs_and_each_reader_hears_only_its_own() -> None:
    async with bench() as b:
        b.model.go.clear()
        outboxes = [b.submit(count) for count in (3, 5, 2)]
        b.model.go.set()
        assert await asyncio.gather(*map(read, outboxes)) == [[2, 1, 0], [4, 3, 2, 1, 0], [1, 0]]
        assert max(b.model.batches) >= 2


async def test_a_reader_that_leaves_frees_its_slot_and_the_others_go_on() -> None:
    async with bench() as b:
        b.model.go.clear()
        leaver, stayer = b.submit(1000), b.submit(4)
        async with leaver:
            pass
        assert b.driver.crowd == 1
        b.model.go.set()
        assert await read(stayer) == [3, 2, 1, 0]
        cancelled = sum(b.metric("rhapsode_requests_cancelled_total", stage=stage) for stage in ("queued", "running"))
        assert cancelled == 1
        assert b.metric("rhapsode_active_slots") == 0


async def test_a_reader_that_leaves_before_it_has_read_all_that_was_made_is_counted() -> None:
    async with bench() as b:
        left, read_to_its_end = b.submit(2, pace=Pace()), b.submit(2)
        await read(read_to_its_end)
        async with left:
            await until(lambda: left._job.complete)
        assert b.metric("rhapsode_requests_cancelled_total", stage="streaming") == 1
        assert b.metric("rhapsode_requests_cancelled_total", stage="running") == 0


async def test_a_reader_that_leaves_what_has_failed_is_not_counted() -> None:
    async with bench() as b:
        async with b.submit(0) as outbox:
            await until(lambda: outbox._job.ended is not None)
        assert (
            sum(b.metric("rhapsode_requests_cancelled_total", stage=stage) for stage in ("running", "streaming")) == 0
        )


async def test_a_failed_run_fails_its_readers_and_the_driver_lives() -> None:
    async with bench() as b:
        b.model.fault = ZeroDivisionError("secret")
        with pytest.raises(RunFailed, match="ZeroDivisionError"):
            await read(b.submit(3))
        b.model.fault = None
        assert await read(b.submit(2)) == [1, 0]


async def test_a_failed_row_is_counted_and_its_reader_hears_what_came_before() -> None:
    async with bench() as b:
        async with b.submit(0) as outbox:
            assert [event for delivery in await anext(outbox) for event in delivery.events] == [-1]
            with pytest.raises(NonFiniteOutput):
                await anext(outbox)
        assert b.metric("rhapsode_nonfinite_outputs_total") == 1


async def test_a_deadline_ends_queued_work_that_is_never_run() -> None:
    async with bench(slots=1) as b:
        b.model.go.clear()
        running = b.submit(1)
        await until(b.model.running.is_set)
        loop_now = asyncio.get_running_loop().time()
        late = b.submit(7, deadline=loop_now + 0.01)
        await until(lambda: asyncio.get_running_loop().time() > loop_now + 0.01)
        b.model.go.set()
        with pytest.raises(DeadlineExpired):
            await read(late)
        assert await read(running) == [0]
        assert b.model.batches == [1]
        assert b.metric("rhapsode_expired_in_queue_total") == 1


async def test_a_full_queue_refuses_at_once() -> None:
    async with bench(slots=1, queue=1) as b:
        b.model.go.clear()
        outboxes = [b.submit(1), b.submit(1)]
        with pytest.raises(QueueFull):
            b.submit(1)
        assert b.registry.get_sample_value(
            "rhapsode_requests_rejected_total", {"model": "countdown", "reason": "queue_full"}
        )
        b.model.go.set()
        assert await asyncio.gather(*map(read, outboxes)) == [[0], [0]]


async def test_stopping_ends_every_reader_and_refuses_new_work() -> None:
    async with bench() as b:
        b.model.go.clear()
        outbox = b.submit(1000)
        await until(b.model.running.is_set)
        stopping = asyncio.create_task(b.driver.stop())
        with pytest.raises(ShuttingDown):
            await read(outbox)
        b.model.go.set()
        await stopping
        with pytest.raises(ShuttingDown):
            b.submit(1)


async def test_a_slow_reader_is_parked_and_resumed_and_others_are_not_held_up() -> None:
    async with bench() as b:
        most = 10**9  # never done before anybody looks
        async with b.submit(most, pace=Pace(bound=10)) as slow:
            await until(lambda: b.metric("rhapsode_streams_stalled_total") == 1)
            assert await read(b.submit(5)) == [4, 3, 2, 1, 0]
            runs = b.metric("rhapsode_rows_per_run_count")
            assert await read(b.submit(3)) == [2, 1, 0]
            assert b.metric("rhapsode_rows_per_run_count") == runs + 3  # none was spent on the parked job
            heard: list[int] = []
            while len(heard) < 1_000:  # more than had been made when it was parked, or not: on it goes without a gap
                heard += (event for delivery in await anext(slow) for event in delivery.events)
        assert heard == list(range(most - 1, most - 1 - len(heard), -1))


async def test_messages_are_flushed_by_count_when_there_is_a_crowd() -> None:
    pace = Pace(flush_items=16, flush_interval=1000.0, few_streams=0)
    async with bench() as b, b.submit(40, pace=pace) as outbox:
        sizes = [sum(len(delivery.events) for delivery in deliveries) async for deliveries in outbox]
        assert sum(sizes) == 40
        assert all(size >= 16 for size in sizes[1:-1])
        assert len(sizes) <= 4


async def test_messages_are_flushed_by_time_when_few_events_come() -> None:
    pace = Pace(flush_items=10**9, flush_interval=0.005, few_streams=0, bound=100)
    async with bench() as b, b.submit(10**9, pace=pace) as endless:
        async with asyncio.timeout(60):
            sizes = [sum(len(delivery.events) for delivery in await anext(endless)) for _ in range(3)]
        assert all(0 < size < 10**9 for size in sizes)


async def test_news_that_come_after_the_end_do_not_undo_it() -> None:
    """A run's report may be on its way to the event loop while the driver is stopped."""
    async with bench() as b:
        b.model.go.clear()
        async with b.submit(1000) as outbox:
            await late_news(outbox)


async def late_news(outbox: Outbox[Row, int]) -> None:
    reader = asyncio.ensure_future(read_all(outbox))
    await asyncio.sleep(0)
    outbox.put(Report(outbox._job, closed=True, error=ShuttingDown("over")))
    outbox.put(Report(outbox._job, [Delivery([1], [1], done=False, made=1)]))
    with pytest.raises(ShuttingDown):
        await reader


async def read_all(outbox: Outbox[Row, int]) -> None:
    async for _ in outbox:
        pass
