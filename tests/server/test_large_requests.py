"""Large requests for pictures: they delay nobody, and a slow reader of one is not computed for without end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode_server.engine.driver import Driver
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.engine.scheduler import Limits
from rhapsode_server.models.base import OneRun, Outcome
from rhapsode_server.models.decoder import Decoder, ImageRow, Picture
from rhapsode_server.models.latents import Draw
from rhapsode_server.observe.metrics import Metrics
from support.requests import generate_images, images, pixels
from support.server import Loaded, Running, running

MANY = 10_000


class Watched(OneRun):
    """A decoder that remembers which rows each run had, and can be stopped in a run."""

    def __init__(self, inner: Decoder) -> None:
        self.max_batch = inner.max_batch
        self.runs: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()
        self.stopped = threading.Event()
        self._inner = inner

    def advance(self, rows: Sequence[ImageRow]) -> Sequence[Outcome[Picture]]:
        self.runs.append([row.index for row in rows])
        if not self.go.is_set():
            self.stopped.set()
            self.go.wait()
        return self._inner.advance(rows)

    def computed_below(self, limit: int) -> int:
        """How many rows with an index below the limit there were."""
        return sum(index < limit for run in self.runs for index in run)


@pytest.fixture
async def watched(loaded: Loaded) -> AsyncIterator[tuple[Watched, "Driver[ImageRow, Picture]"]]:
    decoder = loaded.models.find("tiny-faces").decoder
    assert decoder is not None
    model = Watched(decoder)
    driver: Driver[ImageRow, Picture] = Driver(
        "watched", model, Limits(), Metrics(CollectorRegistry()).lane("watched", 1, "decode", 1)
    )
    driver.start()
    yield model, driver
    model.go.set()
    await driver.stop()


def rows(count: int, first: int = 0) -> list[ImageRow]:
    return [ImageRow(first + place, Draw(7, place)) for place in range(count)]


async def test_one_picture_waits_for_the_run_under_way_whatever_else_is_asked_for(
    watched: tuple[Watched, "Driver[ImageRow, Picture]"],
) -> None:
    model, driver = watched
    async with driver.submit(rows(MANY), None, Pace()) as large:
        await anext(large)
        for small in range(10):
            model.stopped.clear()
            model.go.clear()
            await asyncio.to_thread(model.stopped.wait)
            under_way = len(model.runs)
            async with driver.submit(rows(1, first=MANY + small), None, Pace()) as outbox:
                model.go.set()
                assert len(await anext(outbox)) == 1
            assert MANY + small in model.runs[under_way]  # the very next one
            assert model.computed_below(MANY) < MANY
            await anext(large)


async def test_pictures_that_nobody_takes_are_not_made(
    watched: tuple[Watched, "Driver[ImageRow, Picture]"],
) -> None:
    model, driver = watched
    async with (
        driver.submit(rows(MANY), None, Pace(bound=100)) as slow,
        driver.submit(rows(MANY, first=MANY), None, Pace()) as quick,
    ):
        await anext(quick)
        while any(index < MANY for index in model.runs[-1]):
            await anext(quick)
        made = model.computed_below(MANY)
        async for _ in quick:
            pass
        assert 100 < model.computed_below(MANY) == made < MANY
        taken = [delivery.row.index async for news in slow for delivery in news]
    assert taken == list(range(MANY))


async def test_a_stream_whose_reader_stands_still_is_parked_and_loses_nothing(loaded: Loaded) -> None:
    async with running(loaded, metrics_address="127.0.0.1:0", message_bytes=65_536) as server:
        asked = image_pb2.StreamImagesRequest(generation=images(MANY))
        async with grpc.aio.insecure_channel(server.address, [("grpc.http2.bdp_probe", 0)]) as channel:
            call = ImageServiceStub(channel).StreamImages(asked)
            stream = aiter(call)
            messages = [await anext(stream)]
            while not await sample(server, "rhapsode_streams_stalled_total", role="decode", model="tiny-faces"):
                await generate_images(server, images(1))  # others are served meanwhile
            made = await sample(server, "rhapsode_items_generated_total", kind="image", model="tiny-faces")
            assert made < MANY / 2
            messages += [message async for message in stream]
    assert len(set(pixels(messages))) == MANY
    assert [image.index for message in messages for image in message.images] == list(range(MANY))


async def sample(server: Running, name: str, **labels: str) -> float:
    """The value of the one sample that has these labels among its own."""
    (value,) = (
        sample.value
        for family in text_string_to_metric_families(await server.page())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
    return value


async def test_clients_that_keep_to_the_limit_of_streams_are_never_refused(loaded: Loaded) -> None:
    """A channel keeps what is over the limit to itself; a stream is over when its reply has come."""
    async with running(loaded, max_streams_per_connection=16) as server:
        replies = await asyncio.gather(*(generate_images(server, images(1, seed=seed)) for seed in range(500)))
    assert len({reply.images[0].data for reply in replies}) == 500
