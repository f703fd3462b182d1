"""The asynchronous client's streams over real gRPC: breaks, closing and cancellation."""

import asyncio
from pathlib import Path

import grpc
import pytest

from client.scripted import DRAWN_SEED, Break, Script, serving, whole
from rhapsode_client import AsyncClient, ChannelSettings, InvalidRequest


async def test_async_text_goes_on_exactly_where_it_broke(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(3), Break(0), Break(4)])
    with serving(script, socket) as address:
        async with AsyncClient(address, eager) as client:
            stream = client.stream_text("m", max_tokens=12)
            assert (await stream.started()).seed == DRAWN_SEED
            text = "".join([chunk.text async for chunk in stream])
            result = await client.generate_text("m", seed=3, max_tokens=5)
    assert text == whole(DRAWN_SEED, 12)
    assert result.text == whole(3, 5)
    assert stream.finished[0].usage.generated_token_count == 12


async def test_async_pictures(socket: Path, eager: ChannelSettings) -> None:
    with serving(Script(breaks=[Break(1)]), socket) as address:
        async with AsyncClient(address, eager) as client:
            pictures = [picture async for picture in client.stream_images("m", seed=1, count=3)]
            frames = [frame async for frame in client.interpolate("m", [1, 2], frames_per_segment=2)]
            decoded = [picture async for picture in client.decode_latents("m", [[0.5]])]
    assert [picture.data for picture in pictures] == [b"1:0", b"1:1", b"1:2"]
    assert (len(frames), len(decoded)) == (3, 1)


async def test_async_closing_cancels_at_the_server(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2, code=None)])
    with serving(script, socket) as address:
        async with AsyncClient(address, eager) as client:
            async with client.stream_text("m", seed=5) as stream:
                assert (await anext(stream)).text == whole(5, 1)
                assert await asyncio.to_thread(script.hanging.wait, 10)
            assert await asyncio.to_thread(script.ended.wait, 10)


async def test_async_cancelling_the_task_passes_as_cancellation(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2, code=None)])
    with serving(script, socket) as address:
        async with AsyncClient(address, eager) as client:
            stream = client.stream_text("m", seed=5)
            await anext(stream)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(stream)
            await stream.aclose()
    assert len(script.requests) == 1


async def test_async_cancelled_by_the_server_is_a_lost_connection(socket: Path, eager: ChannelSettings) -> None:
    script = Script(breaks=[Break(2, grpc.StatusCode.CANCELLED)])
    with serving(script, socket) as address:
        async with AsyncClient(address, eager) as client:
            text = "".join([chunk.text async for chunk in client.stream_text("m", seed=5, max_tokens=4)])
    assert text == whole(5, 4)
    assert len(script.requests) == 2


async def test_async_errors_are_of_the_same_tree(socket: Path, eager: ChannelSettings) -> None:
    with serving(Script(breaks=[Break(0, grpc.StatusCode.INVALID_ARGUMENT, "bad")]), socket) as address:
        async with AsyncClient(address, eager) as client:
            with pytest.raises(InvalidRequest, match="bad") as caught:
                await client.generate_text("m")
    assert caught.value.code == "INVALID_ARGUMENT"
    assert len(caught.value.request_id) == 32
