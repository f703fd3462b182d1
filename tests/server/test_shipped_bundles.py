"""Same seed, same bytes on the trained bundles that ship: in company, streamed or not, and between two faces."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from safetensors.numpy import load_file

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2 import (
    AttributeEdit,
    CompressedImage,
    CompressImagesRequest,
    DecodeLatentsRequest,
    DecompressImagesRequest,
    EditImagesRequest,
    EncodeImagesRequest,
    GibbsOptions,
    ImageClass,
    ImageGeneration,
    InputImage,
    InterpolateImagesRequest,
    Keyframe,
    Latent,
    Latents,
    Seeds,
)
from rhapsode.v1.model_pb2 import ListModelsRequest
from support.requests import generate_images, generate_text, images, pixels, stream_images, stream_text, text
from support.server import Loaded, Running, load, running

MODELS = Path(__file__).resolve().parents[2] / "models"
RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
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
    assert [model.name for model in listed] == sorted(folder.name for folder in MODELS.iterdir())
    assert all(model.runtime.batch_invariant for model in listed)


async def test_a_face_is_some_twenty_bytes_and_comes_back_recognisable(server: Running) -> None:
    faces = load_file(MODELS / "faces-codec" / "1" / "goldens.safetensors")["encode.inputs.image"].transpose(0, 2, 3, 1)
    inputs = [InputImage(data=face.astype("<f4").tobytes(), format=RAW) for face in faces]
    compressed = (
        await server.image.CompressImages(CompressImagesRequest(model="faces-codec", images=inputs))
    ).compressed
    back = await server.image.DecompressImages(
        DecompressImagesRequest(model="faces-codec", compressed=compressed, format=RAW)
    )
    made = np.stack([np.frombuffer(image.data, "<f4").reshape(16, 16, 3) for image in back.images])
    assert faces.size / sum(len(one.payload) for one in compressed) >= 8
    assert float((-10 * np.log10(((made - faces) ** 2).mean(axis=(1, 2, 3)))).mean()) >= 20


async def test_no_byte_of_a_shipped_models_payload_can_be_changed(server: Running) -> None:
    white = InputImage(data=b"\xff" * 768, format=image_pb2.IMAGE_FORMAT_RAW_UINT8)
    made = await server.image.CompressImages(CompressImagesRequest(model="faces-codec", images=[white]))
    payload = made.compressed[0].payload
    request = DecompressImagesRequest(model="faces-codec", compressed=[CompressedImage(payload=payload)])
    assert len((await server.image.DecompressImages(request)).images) == 1
    for place, flip in itertools.product(range(len(payload)), (1, 0x80, 0xFF)):
        damaged = bytearray(payload)
        damaged[place] ^= flip
        request.compressed[0].payload = bytes(damaged)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.image.DecompressImages(request)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


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


@pytest.mark.parametrize("model", ["digits-rbm", "digits-dbm"])
async def test_chains_are_the_same_among_others_at_other_steps(server: Running, model: str) -> None:
    asked = images(6, model=model, gibbs=GibbsOptions(steps=40))
    alone = pixels([await generate_images(server, asked)])
    others = [
        asyncio.create_task(
            stream_images(server, images(2 + n, model=model, seed=n, gibbs=GibbsOptions(steps=5 + 9 * n)))
        )
        for n in range(8)
    ]
    streamed, unary = await asyncio.gather(stream_images(server, asked), generate_images(server, asked))
    await asyncio.gather(*others)
    assert pixels(streamed) == pixels([unary]) == alone


async def test_a_pixel_of_naive_bayes_is_lit_where_its_uniform_is_below_its_probability(server: Running) -> None:
    def ask(number: float) -> ImageGeneration:
        latents = Latents(latents=[Latent(values=[number] * 784)])
        return images(None, model="digits-bayes", latents=latents, image_class=ImageClass(name="3"))

    lit = [np.frombuffer(pixels([await generate_images(server, ask(number))])[0], "<f4") for number in (-1.0, 0.0, 1.0)]
    assert [set(picture.tolist()) for picture in lit] == [{1.0}, {0.0, 1.0}, {0.0}]


async def test_a_picture_of_a_class_asked_for_is_the_same_alone_and_in_company(server: Running) -> None:
    boot = image_pb2.ImageClass(name="ankle boot")
    boots = pixels([await generate_images(server, images(12, model="fashion-gan", image_class=boot))])
    others = [
        asyncio.create_task(stream_images(server, images(7, model="fashion-gan", seed=number))) for number in range(16)
    ]
    numbered = images(12, model="fashion-gan", image_class=image_pb2.ImageClass(id=9))
    assert pixels(await stream_images(server, numbered)) == boots
    await asyncio.gather(*others)


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


@pytest.mark.parametrize(("model", "name"), [("faces-vae", "glasses"), ("shapes-vae", "cone")])
async def test_named_edits_are_the_same_alone_in_company_and_when_generated(
    server: Running, model: str, name: str
) -> None:
    edits = [AttributeEdit(name=name), AttributeEdit(name=name, strength=-0.3)]
    sources = [Keyframe(seed=seed) for seed in range(12)]

    async def edited(chosen: list[Keyframe]) -> list[bytes]:
        asked = EditImagesRequest(model=model, sources=chosen, edits=edits, format=image_pb2.IMAGE_FORMAT_RAW_FLOAT32)
        return pixels([message async for message in server.image.EditImages(asked)])

    whole = await edited(sources)
    drawn = images(None, model=model, seeds=Seeds(seeds=range(12)), attributes=edits)
    assert pixels([await generate_images(server, drawn)]) == whole
    assert await edited(sources[7:8]) == whole[7:8]
    assert len(set(whole)) == 12
