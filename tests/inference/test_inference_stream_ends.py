"""How a ModelStreamInfer ends that its client did not end."""

import asyncio
from pathlib import Path

import grpc
import pytest

from inference.asking import faces, latents, raw
from inference.streaming import PATIENCE, ended, open_stream, read_on, reply_of, until_none_is_open, until_read
from rhapsode_server.config import Config
from rhapsode_server.rpc.inference import conversation
from rhapsode_server.rpc.inference.conversations import life
from rhapsode_server.serve.access import read_access
from support.access import bearer, entry, write
from support.refusals import refusal
from support.server import Loaded, LogLine, Running, running


def lines_of(server: Running) -> list[LogLine]:
    """What the log says of the streams that have ended."""
    server.server._log.flush()
    return [line for line in server.log_lines() if line.get("grpc_method", "").endswith("/ModelStreamInfer")]


async def test_the_line_of_a_stream_sums_its_requests_up(graphs: Loaded) -> None:
    async with running(graphs) as server:
        for requests in ((faces(2), faces(17), faces(3)), (faces(), raw("tiny-digits.decode", {"latent": latents()}))):
            call = open_stream(server)
            for request in requests:
                await call.write(request)
                await reply_of(call)
            await ended(call)
        await until_none_is_open(server)
        one, several = lines_of(server)
        assert (one["model"], one["items"], one["failed_by"]) == ("tiny-faces", 5, "INVALID_FIELD 1")
        assert (one["requests"], one["requests_failed"], one["requests_unanswered"]) == (3, 1, 0)
        assert (several["items"], "model" in several, "failed_by" in several) == (2, False, False)
        page = await server.page()
        assert 'rhapsode_stream_requests_total{grpc_code="OK"} 4.0' in page
        assert 'rhapsode_stream_requests_total{grpc_code="InvalidArgument"} 1.0' in page


async def test_the_first_error_of_a_strict_stream_is_counted_for_its_model(graphs: Loaded) -> None:
    async with running(graphs) as server:
        call = open_stream(server, ("triton_grpc_error", "true"))
        await call.write(faces(17))
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()
        await until_none_is_open(server)
        counted = 'rhapsode_requests_rejected_total{model="tiny-faces",reason="invalid_field"} 1.0'
        assert counted in await server.page()
        (line,) = lines_of(server)
        assert (line["model"], line["requests_unanswered"]) == ("tiny-faces", 1)


async def test_a_reader_that_stands_still_is_given_up(graphs: Loaded) -> None:
    async with running(graphs, stall_timeout=0.2, max_batch=4096) as hasty:
        call = open_stream(hasty)
        for _ in range(40):
            await call.write(faces(1000))
        await until_none_is_open(hasty)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on(call)
        assert refusal(caught.value).info.reason == "CLIENT_TOO_SLOW"
        (line,) = lines_of(hasty)
        assert (line["model"], line["requests_failed"]) == ("tiny-faces", 0)
        assert 0 < line["requests_unanswered"] <= line["requests"]
        assert 'rhapsode_streams_given_up_total{model="tiny-faces"} 1.0' in await hasty.page()


async def test_a_stop_ends_streams_once_their_requests_are_done(graphs: Loaded) -> None:
    async with running(graphs, max_batch=4096) as server:
        idle, busy = open_stream(server), open_stream(server)
        await idle.write(faces())
        await reply_of(idle)
        await busy.write(faces(1, id="first"))
        await reply_of(busy)
        await busy.write(faces(4000, id="last"))
        await until_read(server, 3)
        stopping = asyncio.create_task(server.server.stop())
        assert (await reply_of(busy)).infer_response.id == "last"
        for call in (idle, busy):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert refusal(caught.value).info.reason == "SHUTTING_DOWN"
        await stopping


async def test_a_client_that_sends_on_hears_of_a_stop(graphs: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "LAST_WORDS", PATIENCE)
    async with running(graphs, max_batch=4096) as server:
        call = open_stream(server)
        await call.write(faces(4000, id="long"))
        await until_read(server, 1)
        stopping = asyncio.create_task(server.server.stop())
        async with asyncio.timeout(PATIENCE):
            while not server.server._guard._stopping:
                await asyncio.sleep(0)
        await call.write(faces(id="late"))
        replies = {(reply := await reply_of(call)).infer_response.id: reply for _ in range(2)}
        assert not replies["long"].error_message
        assert replies["late"].infer_response.parameters["rhapsode_reason"].string_param == "SHUTTING_DOWN"
        await ended(call)  # well, since nothing is left to say
        await stopping


async def test_a_stream_ends_before_its_connection_does(graphs: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(graphs, max_batch=4096) as server:
        server.server._inference._conversations._life = 0.1
        idle = open_stream(server)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await idle.read()
        assert (caught.value.code(), refusal(caught.value).info.reason) == (grpc.StatusCode.ABORTED, "STREAM_TOO_OLD")

        monkeypatch.setattr(conversation, "LAST_WORDS", PATIENCE)
        busy, reason = open_stream(server), ""
        while not reason:
            await busy.write(faces())
            reply = await reply_of(busy)
            reason = reply.infer_response.parameters["rhapsode_reason"].string_param
        assert reason == "STREAM_TOO_OLD"
        await ended(busy)


@pytest.mark.parametrize(("age", "grace", "seconds"), [(600, 600, 300), (60, 600, 60), (600, 1, 1)])
async def test_how_long_a_stream_lives(age: float, grace: float, seconds: float) -> None:
    assert life(Config(connection_age=age, connection_age_grace=grace)) == seconds


async def test_a_token_that_is_taken_out_ends_its_streams(graphs: Loaded, tmp_path: Path) -> None:
    access = write(tmp_path / "access.toml", entry("old", "a"), entry("other", "b"))
    async with running(graphs, access=access, max_batch=4096) as server:
        gate = server.server._gate
        call, stays = open_stream(server, *bearer("a")), open_stream(server, *bearer("b"))
        for each in (call, stays):
            await each.write(faces())
            assert not (await reply_of(each)).error_message
        await call.write(faces(4000, id="under way"))
        await until_read(server, 3)
        write(tmp_path / "access.toml", entry("other", "b", models=["tiny-digits"]))
        gate.rules = read_access(server.server._config)
        await call.write(faces())
        assert (await reply_of(call)).infer_response.id == "under way"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert refusal(caught.value).info.reason == "UNAUTHENTICATED"
        await stays.write(faces())
        told = (await reply_of(stays)).infer_response.parameters
        assert told["rhapsode_reason"].string_param == "MODEL_NOT_FOUND", "what it may use is asked anew too"
        await ended(stays)
