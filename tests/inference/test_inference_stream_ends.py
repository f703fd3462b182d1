"""How a ModelStreamInfer ends that its client did not end."""

import asyncio
from pathlib import Path

import grpc
import pytest

from inference.asking import faces
from inference.streaming import ended, open_stream, read_on, reply_of, until_none_is_open, until_read
from rhapsode_server.serve.access import read_access
from support.access import bearer, entry, write
from support.refusals import refusal
from support.server import Loaded, running


async def test_a_reader_that_stands_still_is_given_up(graphs: Loaded) -> None:
    async with running(graphs, stall_timeout=0.2, max_batch=4096) as hasty:
        call = open_stream(hasty)
        for _ in range(40):
            await call.write(faces(1000))
        await until_none_is_open(hasty)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on(call)
        assert refusal(caught.value).info.reason == "CLIENT_TOO_SLOW"


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
