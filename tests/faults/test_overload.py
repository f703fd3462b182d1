"""More than can be done: what is refused is refused at once, what is accepted is done, nobody else notices."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from statistics import median

import grpc
import pytest
from benchmarks.abuse.open_loop import generator, probed
from benchmarks.abuse.overload import measure
from benchmarks.vitals import Patient
from deploy.local_server import LocalServer
from prometheus_client.parser import text_string_to_metric_families

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from support import bundles
from support.refusals import refusal
from support.requests import ENDLESS, PATIENT, beside_a_text, generate_text, images, text
from support.server import LogLine, Process, Running, load, process, running

LONG = 500  # tokens: what a tiny model needs to be busy for a moment
AT_ONCE_MS = 100.0  # of its median, though the machine be busy
SOON = 5.0  # seconds, likewise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of texts and one of pictures."""
    made = tmp_path_factory.mktemp("models")
    bundles.stepper().write(made)
    bundles.autoencoder().write(made)
    return made


@pytest.fixture(scope="module")
def busy(folder: Path) -> Iterator[Process]:
    """A server that is busy with four texts."""
    with process(folder, "--slots", "4", "--queue-wait", "0.05") as server:
        yield server


@pytest.fixture
async def single(folder: Path) -> AsyncIterator[Running]:
    """A server that works for one at a time."""
    async with running(load(folder), slots=1, max_tokens=ENDLESS, **PATIENT) as server:
        yield server


async def test_many_times_the_load_is_refused_at_once_or_done(busy: Process) -> None:
    async with generator(busy.address, "tiny-text", LONG, seed=3) as flood, probed(busy.address) as probes:
        answers = await flood.open(rate=2000, seconds=0.3)
    assert answers.other == []
    assert min(len(answers.accepted), len(answers.refused)) > 0
    assert max(probes) < SOON
    Patient(busy.process.pid, busy.metrics_address).until(lambda vitals: vitals.idle, patience=30)
    busy.child.wait(lambda lines: len(refusals(lines)) >= len(answers.refused))
    assert median(line["duration_ms"] for line in refusals(busy.child.lines)) < AT_ONCE_MS


async def test_the_overload_is_measured(busy: Process) -> None:
    server = LocalServer(busy.process.pid, busy.address, busy.metrics_address, 0.0)
    found = await measure(server, 0.01, "tiny-text", LONG)
    assert (found.other, found.accepted > 0, found.health_max < SOON) == ((), True, True)


async def test_a_model_that_is_flooded_costs_no_other_model_a_request(busy: Process) -> None:
    made = 0
    async with (
        generator(busy.address, "tiny-text", LONG, seed=3) as flood,
        grpc.aio.insecure_channel(busy.address) as channel,
        probed(busy.address) as probes,
    ):
        flooding = asyncio.create_task(flood.open(rate=500, seconds=0.5))
        pictures = ImageServiceStub(channel)
        while not flooding.done():
            reply = await pictures.GenerateImages(image_pb2.GenerateImagesRequest(generation=images(1)))
            made += len(reply.images)
        answers = await flooding
    assert made > 0
    assert answers.refused
    assert (answers.other, [took for took in probes if took > SOON]) == ([], [])


async def test_what_expires_in_the_queue_is_never_run(folder: Path) -> None:
    async with (
        running(load(folder), slots=1, max_tokens=ENDLESS, default_deadline=1) as server,
        beside_a_text(server),
    ):
        waiting = (
            generate_text(server, text(3)) for _ in range(100)
        )  # they name no deadline, so they get the server's
        late = await asyncio.gather(*waiting, return_exceptions=True)
        reasons = [refusal(error).info.reason for error in late if isinstance(error, grpc.RpcError)]
        assert set(reasons) <= {"DEADLINE_EXPIRED", "DEADLINE_TOO_SHORT"}  # the latter where they come late
        expired = reasons.count("DEADLINE_EXPIRED")
        assert (len(reasons), expired > 0) == (100, True)
        assert await total(server, "rhapsode_expired_in_queue_total") == expired
        assert await total(server, "rhapsode_queue_wait_seconds_count") == 1  # none of them had a first run


async def test_what_cannot_be_done_by_its_deadline_is_refused_at_once(single: Running) -> None:
    active = single.text.StreamText(text_pb2.StreamTextRequest(generation=text(ENDLESS)))
    await active.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await single.text.GenerateText(text_pb2.GenerateTextRequest(generation=text(3)), timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    told = refusal(caught.value)
    assert told.info.reason == "DEADLINE_TOO_SHORT"
    assert told.retry is not None
    assert await total(single, "rhapsode_requests_rejected_total", reason="deadline_too_short") == 1
    active.cancel()


async def test_a_reader_who_is_slow_leaves_his_slot_to_the_others(single: Running) -> None:
    asked = images(10_000)
    call = single.image.StreamImages(image_pb2.StreamImagesRequest(generation=asked))
    await call.read()
    while not await total(single, "rhapsode_parked_jobs"):
        await asyncio.sleep(0)
    reply = await single.image.GenerateImages(image_pb2.GenerateImagesRequest(generation=images(1)))
    assert len(reply.images) == 1
    assert await total(single, "rhapsode_active_slots") == 0
    await generate_text(single, text(3))
    call.cancel()
    while await total(single, "rhapsode_parked_jobs"):
        await asyncio.sleep(0)


def refusals(lines: Sequence[str]) -> list[LogLine]:
    """The lines of a log about what would have had to wait too long."""
    return [json.loads(line) for line in lines if '"QUEUE_FULL"' in line]


async def total(server: Running, name: str, **labels: str) -> float:
    """The sum of a metric over the series with these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(await server.page())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
