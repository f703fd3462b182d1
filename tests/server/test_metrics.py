"""What happens is counted where it happened, under names that are known."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2 import InputImage, KeepBest, ScoreImagesRequest
from rhapsode.v1.model_pb2 import GetModelRequest
from rhapsode.v1.text_pb2 import LogitBias, Sampling
from support.refusals import refusal
from support.requests import ENDLESS, PATIENT, beside_a_text, generate_images, generate_text, images, stream_text, text
from support.server import Loaded, Running, running

Samples = Mapping[str, float]


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    patient = {"slots": 1, "queue": 1, **PATIENT}
    async with running(loaded, metrics_address="127.0.0.1:0", max_tokens=ENDLESS, **patient) as started:
        yield started


async def samples(server: Running) -> Samples:
    """Every sample by "name{label,value,…}", the values in the order of their labels' names."""
    return {
        f"{sample.name}{{{','.join(sample.labels[label] for label in sorted(sample.labels))}}}": sample.value
        for family in text_string_to_metric_families(await server.page())
        for sample in family.samples
    }


async def settled(server: Running, name: str, value: float) -> None:
    """Wait until a sample has a value; the test's time limit ends it else."""
    while (await samples(server)).get(name) != value:
        await asyncio.sleep(0)


LANE = "tiny-text,step,1"  # labels in the order of their names: model, role, version


async def test_work_is_counted(server: Running) -> None:
    before = await samples(server)
    await generate_text(server, text(30))
    await stream_text(server, text(300))
    await generate_images(server, images(5))
    after = await samples(server)

    def more(name: str) -> float:
        return after[name] - before[name]

    assert more("rhapsode_items_generated_total{token,tiny-text}") == 330
    assert more("rhapsode_items_generated_total{image,tiny-faces}") == 5
    assert more(f"rhapsode_queue_wait_seconds_count{{{LANE}}}") == 2
    assert more(f"rhapsode_time_to_first_message_seconds_count{{{LANE}}}") == 2
    assert more(f"rhapsode_inter_message_seconds_count{{{LANE}}}") > 0
    assert more(f"rhapsode_run_seconds_count{{{LANE}}}") == more(f"rhapsode_rows_per_run_count{{{LANE}}}") >= 2 + 11
    # The first token has a run of its own, then a run makes up to 32: 30 take two or more, 300 eleven or more.
    assert more(f"rhapsode_rows_per_run_sum{{{LANE}}}") >= 2 + 11
    assert after[f"rhapsode_slots{{{LANE}}}"] == 1


async def test_judgements_are_counted_where_they_were_made(server: Running) -> None:
    before = await samples(server)
    picture = InputImage(data=bytes(192), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
    await server.image.ScoreImages(ScoreImagesRequest(model="tiny-judge", images=[picture] * 3))
    await generate_images(server, images(2, model="tiny-digits", keep_best=KeepBest(drawn=7)))
    after = await samples(server)

    def more(name: str) -> float:
        return after[name] - before[name]

    assert more("rhapsode_items_generated_total{judgement,tiny-judge}") == 3
    assert more("rhapsode_items_generated_total{judgement,tiny-digits}") == 7
    assert more("rhapsode_items_generated_total{image,tiny-digits}") == 7 + 2  # the best are made twice
    assert more("rhapsode_queue_wait_seconds_count{tiny-judge,critic,1}") == 1


async def test_rpcs_are_counted_as_go_does(server: Running) -> None:
    await stream_text(server, text(300))
    with pytest.raises(grpc.aio.AioRpcError):
        await generate_text(server, text(0))
    after = await samples(server)
    stream, unary = "StreamText,rhapsode.v1.TextService,server_stream", "GenerateText,rhapsode.v1.TextService,unary"
    assert after[f"grpc_server_started_total{{{stream}}}"] == 1
    assert after[f"grpc_server_msg_received_total{{{stream}}}"] == 1
    assert after[f"grpc_server_msg_sent_total{{{stream}}}"] >= 2
    assert after[f"grpc_server_handled_total{{OK,{stream}}}"] == 1
    assert after[f"grpc_server_handling_seconds_count{{{stream}}}"] == 1
    assert after[f"grpc_server_handled_total{{InvalidArgument,{unary}}}"] == 1
    assert after[f"grpc_server_handled_total{{OK,{unary}}}"] == 0  # there before it happens


async def test_methods_that_there_are_not_are_counted_under_one_name(server: Running) -> None:
    names = (
        "grpc_server_started_total{_OTHER,_OTHER,_OTHER}",
        "grpc_server_handled_total{Unimplemented,_OTHER,_OTHER,_OTHER}",
    )
    before = await samples(server)
    assert [before[name] for name in names] == [0, 0]
    for method in ("/made.Up/Name", "/rhapsode.v1.TextService/Nothing", "/grpc.health.v1.Health/Nothing", "nonsense"):
        call: Any = server.channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError):
            await call(b"")
    after = await samples(server)
    assert [after[name] for name in names] == [4, 4]
    assert after.keys() == before.keys()


async def test_a_full_queue_shows_and_refuses(server: Running) -> None:
    request = text_pb2.StreamTextRequest(generation=text(ENDLESS))
    active = server.text.StreamText(request)
    await active.read()
    await settled(server, f"rhapsode_active_slots{{{LANE}}}", 1)
    waiting = server.text.StreamText(request)
    queued = asyncio.create_task(waiting.read())
    await settled(server, f"rhapsode_queue_depth{{{LANE}}}", 1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, text(3))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "grpc-retry-pushback-ms" in dict(caught.value.trailing_metadata() or ())
    waiting.cancel()
    await asyncio.gather(queued, return_exceptions=True)
    await settled(server, "rhapsode_requests_cancelled_total{tiny-text,step,queued,1}", 1)
    active.cancel()
    await settled(server, "rhapsode_requests_cancelled_total{tiny-text,step,running,1}", 1)
    await settled(server, f"rhapsode_active_slots{{{LANE}}}", 0)
    after = await samples(server)
    assert after["rhapsode_requests_rejected_total{tiny-text,queue_full}"] == 1
    assert after["grpc_server_handled_total{Canceled,StreamText,rhapsode.v1.TextService,server_stream}"] == 2


async def test_a_deadline_that_passes_in_the_queue_costs_no_run(loaded: Loaded) -> None:
    async with running(
        loaded, metrics_address="127.0.0.1:0", slots=1, max_tokens=ENDLESS, default_deadline=1
    ) as server:
        async with beside_a_text(server):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await generate_text(server, text(3))  # names no deadline, so it gets the server's
            after = await samples(server)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert refusal(caught.value).info.reason == "DEADLINE_EXPIRED"
    assert after[f"rhapsode_expired_in_queue_total{{{LANE}}}"] == 1
    assert after[f"rhapsode_queue_wait_seconds_count{{{LANE}}}"] == 1


async def test_refusals_are_counted_under_known_names_only(server: Running) -> None:
    before = (await samples(server)).keys()
    names = (GetModelRequest(model=f"nobody-{number}") for number in range(10_000))

    async def ask() -> None:
        for name in names:
            with pytest.raises(grpc.aio.AioRpcError):
                await server.model.GetModel(name)

    await asyncio.gather(*(ask() for _ in range(64)))
    after = await samples(server)
    assert after["rhapsode_requests_rejected_total{_unknown,model_not_found}"] == 10_000
    assert len({name for name in after.keys() - before if not name.startswith("python_")}) == 1


async def test_nan_is_counted(server: Running) -> None:
    bias = Sampling(logit_bias=[LogitBias(token_id=27, bias=100)])
    with pytest.raises(grpc.aio.AioRpcError):
        await generate_text(server, text(model="failing", sampling=bias))
    assert (await samples(server))["rhapsode_nonfinite_outputs_total{failing,step,1}"] == 1


async def test_what_the_server_is_made_of(server: Running, loaded: Loaded) -> None:
    await settled_at_least_once(server, "rhapsode_event_loop_lag_seconds_count{}")
    after = await samples(server)
    info = [name for name in after if name.startswith("rhapsode_model_info{")]
    loads = [name for name in after if name.startswith("rhapsode_model_load_seconds{")]
    assert len(info) == len(loads) == len(loaded.models.models)
    assert all("CPUExecutionProvider" in name for name in info)
    assert sum(name.startswith("rhapsode_build_info{") for name in after) == 1
    assert after["rhapsode_provider_fallback{CPUExecutionProvider}"] == 0
    assert after["process_open_fds{}"] > 0


async def settled_at_least_once(server: Running, name: str) -> None:
    while not (await samples(server))[name]:
        await asyncio.sleep(0)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not installed")
async def test_promtool_finds_nothing_to_complain_about(server: Running) -> None:
    await generate_text(server, text(3))
    text_of_page = await server.page()
    checked = await asyncio.to_thread(
        subprocess.run,
        ["promtool", "check", "metrics"],
        input=text_of_page,
        text=True,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
