"""ModelStreamInfer over a real socket: many requests on one stream that is not half-closed until its end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio

from inference.asking import FACES, Tensor, arrays, faces, latents, raw, stub
from inference.streaming import PATIENCE, conversations, ended, open_stream, reply_of, until_none_is_open
from rhapsode.oip import inference_pb2 as oip
from support.access import bearer, entry, write
from support.refusals import refusal
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DIGITS = "tiny-digits.decode"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wide(graphs: Loaded) -> AsyncIterator[Running]:
    """A server whose requests may have thousands of rows, so that some take long."""
    async with running(graphs, max_batch=4096) as started:
        yield started


async def test_65_requests_on_an_open_stream_are_answered_as_they_are_done(wide: Running) -> None:
    call = open_stream(wide)
    await call.write(faces(4000, id="long"))
    for number in range(64):
        await call.write(raw(DIGITS, {"latent": latents(1, number)}, id=str(number)))
    replies = [await reply_of(call) for _ in range(65)]
    ids = [reply.infer_response.id for reply in replies]
    assert sorted(ids) == sorted(["long", *map(str, range(64))])
    assert ids[0] != "long", "what is done first is told first"
    assert not any(reply.error_message for reply in replies)
    assert all(reply.infer_response.parameters["triton_final_response"].bool_param for reply in replies)
    for reply in replies:
        if reply.infer_response.id != "long":
            alone = await stub(wide).ModelInfer(raw(DIGITS, {"latent": latents(1, int(reply.infer_response.id))}))
            assert reply.infer_response.raw_output_contents == alone.raw_output_contents
    await ended(call)


async def test_a_request_of_very_many_parts_is_told_so_and_the_stream_goes_on(wide: Running) -> None:
    call = open_stream(wide)
    await call.write(oip.ModelInferRequest(model_name=FACES, id="many", inputs=[Tensor()] * 5000))
    reply = await reply_of(call)
    assert reply.infer_response.id == "many"
    assert reply.error_message.startswith("inputs must not bring the parts")
    await call.write(faces(id="next"))
    assert (await reply_of(call)).infer_response.id == "next"
    await ended(call)


async def test_a_request_is_answered_before_the_next_is_sent(wide: Running) -> None:
    call = open_stream(wide)
    for number in range(3):
        request = faces(1, number, id=str(number))
        request.parameters["triton_enable_empty_final_response"].bool_param = True
        await call.write(request)
        reply = (await reply_of(call)).infer_response
        assert reply.id == str(number)
        assert reply.outputs, "the one reply is the final one: no empty one follows"
        assert reply.parameters["triton_final_response"].bool_param
        assert arrays(reply)["image"].shape == (1, 3, 8, 8)
    await ended(call)


async def test_a_bad_request_is_told_and_the_stream_goes_on(wide: Running) -> None:
    call = open_stream(wide)
    bad = faces(id="bad")
    bad.inputs[0].datatype = "FP64"
    for request, status in (
        (bad, "INVALID_ARGUMENT"),
        (raw("nobody.decode", {"latent": latents()}, id="nobody"), "NOT_FOUND"),
        (oip.ModelInferRequest(model_name="../x", id="no name"), "INVALID_ARGUMENT"),
    ):
        await call.write(request)
        reply = await reply_of(call)
        assert reply.error_message
        assert (reply.infer_response.id, reply.infer_response.outputs[:]) == (request.id, [])
        assert reply.infer_response.parameters["rhapsode_status"].string_param == status
        assert reply.infer_response.parameters["triton_final_response"].bool_param
    await call.write(faces(id="good"))
    assert (await reply_of(call)).infer_response.id == "good"
    await ended(call)
    assert 'rhapsode_requests_rejected_total{model="tiny-faces",reason="invalid_field"} 1.0' in await wide.page()


async def test_bytes_that_are_no_message_are_told_and_the_stream_goes_on(wide: Running) -> None:
    method: Any = wide.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
    call = method(timeout=PATIENCE)
    await call.write(b"\xff" * 100)
    first = oip.ModelStreamInferResponse.FromString(await call.read())
    assert first.infer_response.parameters["rhapsode_reason"].string_param == "MALFORMED_REQUEST"
    await call.write(faces(id="good").SerializeToString())
    assert oip.ModelStreamInferResponse.FromString(await call.read()).infer_response.id == "good"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_who_asks_for_statuses_gets_the_first_error_as_that_of_the_stream(wide: Running) -> None:
    call = open_stream(wide, ("triton_grpc_error", "true"))
    await call.write(faces(id="good"))
    assert (await reply_of(call)).infer_response.id == "good"
    await call.write(faces(5000, id="bad"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert (caught.value.code(), refusal(caught.value).fields) == (INVALID, ["inputs[0].shape"])


async def test_a_stream_without_requests_ends_well(wide: Running) -> None:
    await ended(open_stream(wide))


async def test_only_so_much_of_a_stream_is_under_way(graphs: Loaded) -> None:
    async with running(graphs, max_batch=4096, max_streams_per_connection=16) as server:
        count = 120
        call = open_stream(server)
        request = faces(100)  # whose reply has 77 kB

        async def ask() -> None:
            for number in range(count):
                request.id = str(number)
                await call.write(request)

        asking = asyncio.create_task(ask())
        async with asyncio.timeout(PATIENCE):
            while not conversations(server):
                await asyncio.sleep(0.01)
            (conversation,) = conversations(server)
            room = conversation._room
            while room._count < 16:  # nobody reads: it fills up
                await asyncio.sleep(0.01)
        assert (room._count, conversation.requests) < (17, count)
        ids = {(reply := await reply_of(call)).infer_response.id for _ in range(count)}
        await asking
        assert ids == set(map(str, range(count)))
        assert not reply.error_message
        await ended(call)


async def test_streams_leave_room_in_the_lane_for_others(graphs: Loaded) -> None:
    # Small: 2 slots and a queue of 4, which a connection could fill many times over.
    async with running(graphs, max_batch=16, slots=2, queue=4) as server:
        calls = [open_stream(server) for _ in range(5)]
        told: list[str] = []

        async def ask(call: Any) -> None:
            for _ in range(1000):
                await call.write(faces(16))

        async def listen(call: Any) -> None:
            while True:
                told.append((await reply_of(call)).error_message)

        flood = [asyncio.create_task(do(call)) for call in calls for do in (ask, listen)]
        driver = server.server.catalog.find("tiny-faces").graphs["decode"]
        async with asyncio.timeout(PATIENCE):
            while len(told) < 5 or not driver.jobs.active:
                await asyncio.sleep(0.001)
            for _ in range(20):
                await stub(server).ModelInfer(faces())  # none is refused
        assert not any(told), "nor is any of the streams' own: they wait"
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        for call in calls:
            call.cancel()


async def test_each_request_has_a_deadline_of_its_own(graphs: Loaded) -> None:
    async with running(graphs, default_deadline=1e-6) as server:
        call = open_stream(server)  # which may last long
        reasons = []
        for seconds in (0, 30):  # of no wish, and of one
            request = faces()
            request.parameters["timeout"].int64_param = seconds * 1_000_000
            await call.write(request)
            reasons.append((await reply_of(call)).infer_response.parameters["rhapsode_reason"].string_param)
        assert reasons == ["DEADLINE_EXPIRED", ""]
        await ended(call)


async def test_a_client_that_leaves_leaves_nothing_behind(wide: Running) -> None:
    before = len(asyncio.all_tasks())
    call = open_stream(wide)
    for number in range(20):
        await call.write(faces(500, id=str(number)))
    await reply_of(call)
    call.cancel()
    await until_none_is_open(wide)
    lanes = [driver.jobs for driver in wide.server.catalog.drivers()]
    assert [(jobs.active, jobs.queued, jobs.parked) for jobs in lanes] == [(0, 0, 0)] * len(lanes)
    async with asyncio.timeout(PATIENCE):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)


async def test_an_idle_stream_holds_no_model(wide: Running) -> None:
    call = open_stream(wide)
    await call.write(faces())
    await reply_of(call)
    served = wide.server.catalog.find("tiny-faces")
    async with asyncio.timeout(PATIENCE):
        while wide.server.catalog.holders(served.loaded):
            await asyncio.sleep(0.01)
    await ended(call)


async def test_each_request_counts_for_its_client(graphs: Loaded, tmp_path: Path) -> None:
    access = write(
        tmp_path / "access.toml",
        entry("slow", "a", rate=0.001, burst=2, models=["tiny-faces"]),
        entry("one", "b", concurrency=1),
    )
    async with running(graphs, access=access, max_batch=4096) as server:
        call = open_stream(server, *bearer("a"))
        reasons = []
        for model in (FACES, DIGITS, FACES):
            await call.write(raw(model, {"latent": latents()}))
            reply = await reply_of(call)
            reasons.append(reply.infer_response.parameters["rhapsode_reason"].string_param)
        assert reasons == ["", "MODEL_NOT_FOUND", "QUOTA_EXCEEDED"]
        await ended(call)

        call = open_stream(server, *bearer("b"))
        await call.write(faces(4000, id="long"))
        await call.write(faces(id="beside it"))
        replies = {(reply := await reply_of(call)).infer_response.id: reply for _ in range(2)}
        assert not replies["long"].error_message
        told = replies["beside it"].infer_response.parameters
        assert told["rhapsode_status"].string_param == "RESOURCE_EXHAUSTED"
        await call.write(faces(id="after it"))
        assert not (await reply_of(call)).error_message
        await ended(call)


async def test_models_out_of_scope_are_not_there(graphs: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("tiny", "a", models=["tiny-faces"]))
    async with running(graphs, access=access) as server:
        client, as_tiny = stub(server), bearer("a")
        index = await client.RepositoryIndex(oip.RepositoryIndexRequest(), metadata=as_tiny)
        assert {each.name for each in index.models} == {FACES, "tiny-faces.encode"}
        told = await client.ModelStatistics(oip.ModelStatisticsRequest(), metadata=as_tiny)
        assert {each.name for each in told.model_stats} == {FACES, "tiny-faces.encode"}
        assert not (await client.ModelReady(oip.ModelReadyRequest(name=DIGITS), metadata=as_tiny)).ready
        errors = []
        for hidden in (DIGITS, "nobody.decode"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.ModelInfer(raw(hidden, {"latent": np.zeros((1, 8), np.float32)}), metadata=as_tiny)
            errors.append((caught.value.code(), caught.value.details()))
        assert errors[0] == errors[1]
