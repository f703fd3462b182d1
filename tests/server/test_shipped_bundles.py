"""Same seed, same bytes on the trained bundles that ship: in company, streamed or not, and between two faces."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2 import (
    DecodeLatentsRequest,
    EncodeImagesRequest,
    InputImage,
    InterpolateImagesRequest,
    Keyframe,
    Latent,
)
from rhapsode.v1.model_pb2 import ListModelsRequest
from support.requests import generate_images, generate_text, images, pixels, stream_images, stream_text, text
from support.server import Loaded, Running, load, running

MODELS = Path(__file__).resolve().parents[2] / "models"
SAMPLING = text_pb2.Sampling(temperature=0.8, top_p=0.95, frequency_penalty=0.1)


@pytest.fixture(scope="module")
def shipped() -> Loaded:
    return load(MODELS)


@pytest.fixture
async def server(shipped: Loaded) -> AsyncIterator[Running]:
    async with running(shipped) as started:
        yield started


def play(tokens: int, **fields: object) -> text_pb2.TextGeneration:
    return text(tokens, **({"model": "shakespeare-rnn", "text": "ROMEO.\n", "sampling": SAMPLING} | fields))


async def test_every_shipped_model_is_batch_invariant(server: Running) -> None:
    listed = (await server.model.ListModels(ListModelsRequest())).models
    assert [model.name for model in listed] == [
        "digits-critic",
        "digits-gan",
        "faces-vae",
        "shakespeare-rnn",
        "shakespeare-rnn-int8",
    ]
    assert all(model.runtime.batch_invariant for model in listed)


async def test_texts_and_pictures_are_the_same_among_32_others(server: Running) -> None:
    verse = (await generate_text(server, play(120))).candidates[0].text
    digits = pixels([await generate_images(server, images(20, model="digits-gan"))])
    others = [
        asyncio.create_task(stream_text(server, play(20 + 3 * number, seed=number, text="O"[: number % 2])))
        if number % 2
        else asyncio.create_task(stream_images(server, images(10 + number, model="digits-gan", seed=number)))
        for number in range(32)
    ]
    streamed, drawn = await asyncio.gather(
        stream_text(server, play(120)), stream_images(server, images(20, model="digits-gan"))
    )
    await asyncio.gather(*others)
    assert "".join(chunk.text for message in streamed for chunk in message.chunks) == verse
    assert pixels(drawn) == digits


async def test_the_middle_between_two_faces_is_half_the_difference_of_their_means(server: Running) -> None:
    raw = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
    drawn = await generate_images(server, images(2, model="faces-vae", format=image_pb2.IMAGE_FORMAT_PNG))
    faces = [InputImage(data=picture.data) for picture in drawn.images]
    encoded = await server.image.EncodeImages(EncodeImagesRequest(model="faces-vae", images=faces))
    first, second = (np.array(encoding.mean.values, dtype=np.float32) for encoding in encoded.encodings)
    middle = Latent(values=first + np.float32(0.5) * (second - first))
    walk = InterpolateImagesRequest(
        model="faces-vae", keyframes=[Keyframe(image=face) for face in faces], frames_per_segment=8, format=raw
    )
    decode = DecodeLatentsRequest(model="faces-vae", latents=[middle], format=raw)
    frames = [message.image.data async for message in server.image.InterpolateImages(walk)]
    decoded = [image.data async for message in server.image.DecodeLatents(decode) for image in message.images]
    assert len(frames) == 9
    assert [frames[4]] == decoded
