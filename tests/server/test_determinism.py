"""Same seed, same bytes: alone or in company, streamed or not, after a restart, and whoever leaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support.requests import (
    ENDLESS,
    generate_images,
    generate_text,
    images,
    pixels,
    stream_images,
    stream_text,
    text,
)
from support.server import Loaded, Running, process, running

SAMPLING = text_pb2.Sampling(temperature=0.8, top_k=20, top_p=0.95, min_p=0.01, repetition_penalty=1.1)


@pytest.fixture
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


def tokens(messages: list[text_pb2.StreamTextResponse]) -> list[int]:
    return [token for message in messages for chunk in message.chunks for token in chunk.token_ids]


async def company(server: Running, number: int) -> None:
    """Somebody else's request, of another kind and length each time."""
    if number % 2:
        await stream_text(server, text(20 + 7 * number, seed=number, text="a" * (number % 5), logprobs=number % 3))
    else:
        await stream_images(server, images(30 + number, seed=number))


async def test_text_and_pictures_are_the_same_while_32_others_run(server: Running) -> None:
    alone = (await generate_text(server, text(200, sampling=SAMPLING))).candidates[0].token_ids
    alone_pictures = pixels([await generate_images(server, images(40))])
    others = [asyncio.create_task(company(server, number)) for number in range(32)]
    crowded, crowded_pictures = await asyncio.gather(
        stream_text(server, text(200, sampling=SAMPLING)), stream_images(server, images(40))
    )
    await asyncio.gather(*others)
    assert tokens(crowded) == alone
    assert pixels(crowded_pictures) == alone_pictures


async def test_one_who_leaves_in_mid_batch_changes_nothing_for_the_others(loaded: Loaded) -> None:
    async with running(loaded, max_tokens=ENDLESS) as server:
        alone = (await generate_text(server, text(400, sampling=SAMPLING))).candidates[0].token_ids
        mates = [asyncio.create_task(stream_text(server, text(400, sampling=SAMPLING))) for _ in range(4)]
        async with grpc.aio.insecure_channel(server.address) as channel:
            request = text_pb2.StreamTextRequest(generation=text(ENDLESS, seed=99))
            leaving = TextServiceStub(channel).StreamText(request)
            await leaving.read()  # it is under way; its socket closes with the channel
        assert [tokens(messages) for messages in await asyncio.gather(*mates)] == [alone] * 4


async def test_the_same_after_a_restart_in_another_process(models_folder: Path, loaded: Loaded) -> None:
    async with running(loaded) as server:
        here_text = (await generate_text(server, text(100, sampling=SAMPLING))).candidates[0]
        here = await generate_images(server, images(10, format=image_pb2.IMAGE_FORMAT_PNG))
    with process(models_folder) as other:
        async with grpc.aio.insecure_channel(other.address) as channel:
            text_request = text_pb2.GenerateTextRequest(generation=text(100, sampling=SAMPLING))
            image_request = image_pb2.GenerateImagesRequest(generation=images(10, format=image_pb2.IMAGE_FORMAT_PNG))
            there_text = (await TextServiceStub(channel).GenerateText(text_request)).candidates[0]
            there = await ImageServiceStub(channel).GenerateImages(image_request)
        assert other.stop() == 0
    assert there_text == here_text
    assert there == here  # the fingerprint with it
