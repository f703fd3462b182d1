"""Readers that stand still are given up: their slot is free, their task lets go, and a client of ours loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rhapsode.v1 import image_pb2
from rhapsode_client import Client
from rhapsode_client.types import ImageFormat
from rhapsode_server.errors import ClientTooSlow
from rhapsode_server.rpc.stall import StallTimer
from support import bundles
from support.requests import generate_text, images, text
from support.server import Loaded, Running, load, running

PATIENCE = 60.0
COUNT = 20_000
Ring = Callable[[], object]


@pytest.fixture(scope="module")
def some_models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("some-models")
    bundles.write_all(folder)
    return load(folder)


@pytest.fixture
async def hasty(some_models: Loaded) -> AsyncIterator[Running]:
    """A server that waits for a reader for a fifth of a second."""
    async with running(some_models, stall_timeout=0.2, slots=1) as server:
        yield server


def stalled_stream(server: Running) -> Any:
    asked = images(COUNT, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
    return server.image.StreamImages(image_pb2.StreamImagesRequest(generation=asked))


async def reading(server: Running, name: str, **labels: str) -> float:
    """The sum of a metric's series with these labels."""
    families = [family for family in server.server.registry.collect() if name.startswith(family.name)]
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def until_given_up(server: Running, count: int = 1) -> None:
    async with asyncio.timeout(PATIENCE):
        while await reading(server, "rhapsode_streams_given_up_total") < count:
            await asyncio.sleep(0.01)


async def test_a_reader_that_stands_still_gives_its_slot_up(hasty: Running) -> None:
    call = stalled_stream(hasty)
    await call.read()
    await until_given_up(hasty)
    assert await reading(hasty, "rhapsode_active_slots", role="decode") == 0
    asked = image_pb2.GenerateImagesRequest(generation=images(1))
    assert len((await hasty.image.GenerateImages(asked, timeout=PATIENCE)).images) == 1  # the only slot there is
    call.cancel()


async def test_its_status_comes_when_it_reads_again_behind_what_was_sent(hasty: Running) -> None:
    call = stalled_stream(hasty)
    got = [image.index for image in (await call.read()).images]
    await until_given_up(hasty)

    async def read_on() -> None:
        while message := await call.read():
            got.extend(image.index for image in message.images)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_on()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"] == "100"
    assert 0 < len(got) < COUNT
    assert got == list(range(len(got)))


async def test_its_line_and_its_rpc_end_with_the_call(hasty: Running) -> None:
    call = stalled_stream(hasty)
    await call.read()
    await until_given_up(hasty)
    assert await reading(hasty, "rhapsode_open_rpcs", grpc_method="StreamImages") == 1  # gRPC cannot end it
    call.cancel()
    async with asyncio.timeout(PATIENCE):
        while await reading(hasty, "rhapsode_open_rpcs", grpc_method="StreamImages"):
            await asyncio.sleep(0)
        await generate_text(hasty, text(1))
        while not (lines := [line for line in hasty.log_lines() if line.get("reason") == "CLIENT_TOO_SLOW"]):
            await asyncio.sleep(0.01)
    assert [line["grpc_code"] for line in lines] == ["Unavailable"]


async def test_it_counts_among_its_clients_requests_until_its_call_is_over(some_models: Loaded) -> None:
    async with running(some_models, stall_timeout=0.2, client_concurrency=1) as server:
        call = stalled_stream(server)
        await call.read()
        await until_given_up(server)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await generate_text(server, text(1))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call.cancel()
        async with asyncio.timeout(PATIENCE):
            while len(server.server._gate.quotas):
                await asyncio.sleep(0)
        assert (await generate_text(server, text(1))).candidates


async def test_a_client_of_ours_goes_on_exactly_where_it_stood(hasty: Running) -> None:
    loop = asyncio.get_running_loop()

    def read_with_a_pause() -> list[tuple[int, bytes]]:
        with Client(hasty.address) as client:
            stream = client.stream_images("tiny-faces", count=COUNT, seed=7, format=ImageFormat.RAW_FLOAT32)
            first = next(stream)
            asyncio.run_coroutine_threadsafe(until_given_up(hasty), loop).result(PATIENCE)
            return [(picture.index, picture.data) for picture in (first, *stream)]

    got = await asyncio.to_thread(read_with_a_pause)
    assert [index for index, _ in got] == list(range(COUNT))
    asked = image_pb2.GenerateImagesRequest(generation=images(16))
    assert [data for _, data in got[:16]] == [image.data for image in (await hasty.image.GenerateImages(asked)).images]
    tail = images(16, first_index=COUNT - 16)
    tail_reply = await hasty.image.GenerateImages(image_pb2.GenerateImagesRequest(generation=tail))
    assert [data for _, data in got[-16:]] == [image.data for image in tail_reply.images]


async def test_a_watcher_of_health_is_no_stalled_reader(hasty: Running) -> None:
    stub: Any = health_pb2_grpc.HealthStub(hasty.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=""))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    call = stalled_stream(hasty)
    await call.read()
    await until_given_up(hasty)
    assert not watch.done()
    for each in (call, watch):
        each.cancel()


class HandLoop:
    """A loop whose time is set by hand, and that keeps the one timer that it is given."""

    def __init__(self) -> None:
        self.now = 0.0
        self.set_for: float | None = None
        self.ring: Ring = lambda: None

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Ring, /) -> asyncio.TimerHandle:
        self.set_for, self.ring = when, callback
        return asyncio.TimerHandle(when, callback, (), asyncio.get_running_loop())

    def call_later(self, delay: float, callback: Ring, /) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback)

    def turn_to(self, now: float) -> None:
        """Let time pass, and the timer ring where it was set for then or sooner."""
        self.now = now
        if self.set_for is not None and self.set_for <= now:
            self.set_for = None
            self.ring()


async def test_only_a_single_write_that_lasts_is_given_up() -> None:
    loop = HandLoop()
    timer = StallTimer(10, loop)
    for second in range(0, 90, 9):
        timer.write_begins()
        loop.turn_to(second + 9)
        timer.write_ends()
    loop.turn_to(500)  # between two messages, as long as the model takes
    timer.write_begins()
    loop.turn_to(509)
    timer.interrupted()  # a cancellation from elsewhere is none of its own
    loop.turn_to(510)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    with pytest.raises(ClientTooSlow, match="not taken within 10 s"):
        timer.interrupted()
    timer.close()


async def test_a_client_that_leaves_while_it_is_given_up_has_left() -> None:
    loop = HandLoop()
    timer = StallTimer(10, loop)
    task = asyncio.current_task()
    assert task is not None
    timer.write_begins()
    loop.turn_to(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    timer.interrupted()
    assert task.uncancel() == 0
    timer.close()
