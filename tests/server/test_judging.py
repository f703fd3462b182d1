"""Critics over a real socket: what they find of pictures, the best of many, and the same bits in any company."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from pathlib import Path

import grpc
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    DecodeLatentsRequest,
    EncodeImagesRequest,
    ImageClass,
    InputImage,
    KeepBest,
    ScoreImagesRequest,
)
from support.bundles import judge
from support.requests import generate_images, images, pixels, stream_images
from support.server import Loaded, Running, load, running

RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


def noise(count: int, channels: int = 3) -> list[InputImage]:
    """Raw pictures 8×8."""
    values = np.random.default_rng(3).uniform(-1, 1, (count, 8, 8, channels)).astype("<f4")
    return [InputImage(data=picture.tobytes(), format=RAW) for picture in values]


async def score(server: Running, model: str, pictures: Sequence[InputImage]) -> list[image_pb2.ImageScore]:
    return list((await server.image.ScoreImages(ScoreImagesRequest(model=model, images=pictures))).scores)


async def test_a_critic_says_how_real_and_of_which_class(server: Running) -> None:
    reply = await server.image.ScoreImages(ScoreImagesRequest(model="tiny-judge", images=noise(5)))
    assert (reply.model, reply.version, len(reply.fingerprint), len(reply.scores)) == ("tiny-judge", 1, 64, 5)
    assert len({one.realness for one in reply.scores}) == 5
    for one in reply.scores:
        assert one.anomaly == -one.realness
        assert len(one.class_probabilities) == 3
        assert sum(one.class_probabilities) == pytest.approx(1.0, abs=1e-6)
        assert not one.converted


async def test_a_generators_critic_judges_what_the_generator_made(server: Running) -> None:
    made = await generate_images(server, images(4, model="tiny-digits"))
    scores = await score(server, "tiny-digits", [InputImage(data=one.data, format=RAW) for one in made.images])
    assert all(one.HasField("realness") and not one.class_probabilities for one in scores)


async def test_an_autoencoder_says_how_badly_it_draws_a_picture(server: Running) -> None:
    pictures = noise(3)
    encoded = await server.image.EncodeImages(EncodeImagesRequest(model="tiny-faces", images=pictures))
    means = [encoding.mean for encoding in encoded.encodings]
    decode = DecodeLatentsRequest(model="tiny-faces", latents=means, format=RAW)
    drawn = pixels([message async for message in server.image.DecodeLatents(decode)])
    scores = await score(server, "tiny-faces", pictures)
    for one, given, made in zip(scores, pictures, drawn, strict=True):
        first, second = (np.frombuffer(data, "<f4").astype(np.float64) for data in (given.data, made))
        assert one.anomaly == pytest.approx(float(np.square((first - second) / 2).mean()), rel=1e-6)
        assert not one.HasField("realness")


async def test_a_picture_that_had_to_be_converted_says_so(server: Running) -> None:
    file = BytesIO()
    Image.new("L", (20, 30), 90).save(file, "PNG")
    exact, scaled = await score(server, "tiny-judge", [noise(1)[0], InputImage(data=file.getvalue())])
    assert (exact.converted, scaled.converted) == (False, True)


@pytest.mark.parametrize("model", ["tiny-judge", "tiny-faces", "tiny-digits"])
async def test_a_judgement_has_the_same_bits_in_any_company(server: Running, model: str) -> None:
    pictures = noise(24, channels=1 if model == "tiny-digits" else 3)
    whole = await score(server, model, pictures)
    backwards = await score(server, model, pictures[::-1])
    alone = await asyncio.gather(*(score(server, model, [picture]) for picture in pictures))
    assert [one.SerializeToString() for (one,) in alone] == [one.SerializeToString() for one in whole]
    assert backwards[::-1] == whole


async def test_a_model_says_that_it_can_judge(server: Running) -> None:
    listed = (await server.model.ListModels(model_pb2.ListModelsRequest())).models
    judges = {one.name for one in listed if model_pb2.CAPABILITY_SCORE_IMAGES in one.capabilities}
    assert judges == {"tiny-judge", "tiny-digits", "tiny-faces", "tiny-codec"}


def best(count: int, drawn: int, critic: str = "", **fields: object) -> image_pb2.ImageGeneration:
    return images(count, **({"model": "tiny-digits", "keep_best": KeepBest(drawn=drawn, critic=critic)} | fields))


async def test_the_best_of_many_are_those_that_the_critic_finds_most_real(server: Running) -> None:
    all_of_them = pixels([await generate_images(server, images(40, model="tiny-digits"))])
    inputs = [InputImage(data=data, format=RAW) for data in all_of_them]
    realness = [one.realness for one in await score(server, "tiny-digits", inputs)]
    order = sorted(range(40), key=lambda row: (-realness[row], row))[:6]
    reply = await generate_images(server, best(6, 40, return_latents=True))
    assert reply.started.count == 6
    assert [one.index for one in reply.images] == list(range(6))
    assert [one.row for one in reply.images] == order
    assert [one.realness for one in reply.images] == [realness[row] for row in order]
    assert pixels([reply]) == [all_of_them[row] for row in order]
    streamed = await stream_images(server, best(6, 40, return_latents=True))
    assert [one for message in streamed for one in message.images] == list(reply.images)


async def test_all_that_are_drawn_can_be_kept_and_count_is_one_of_itself(server: Running) -> None:
    whole = await generate_images(server, best(9, 9))
    assert sorted(one.row for one in whole.images) == list(range(9))
    (first,) = (await generate_images(server, best(None, 9))).images  # type: ignore[arg-type]  # no count
    assert first == whole.images[0]


async def test_a_broken_stream_goes_on_at_any_rank(server: Running) -> None:
    whole = [one for message in await stream_images(server, best(8, 30)) for one in message.images]
    rest = await stream_images(server, best(3, 30, first_index=5))
    assert [one for message in rest for one in message.images] == whole[5:]
    assert rest[0].started.count == 3


async def test_another_models_critic_chooses_and_the_fingerprint_says_so(server: Running) -> None:
    asked = best(4, 20, "tiny-judge@1", model="tiny-shapes", image_class=ImageClass(name="ring"))
    reply = await generate_images(server, asked)
    plain = await generate_images(server, images(20, model="tiny-shapes", image_class=ImageClass(name="ring")))
    inputs = [InputImage(data=data, format=RAW) for data in pixels([plain])]
    realness = [one.realness for one in await score(server, "tiny-judge", inputs)]
    order = sorted(range(20), key=lambda row: (-realness[row], row))[:4]
    assert [one.row for one in reply.images] == order
    assert reply.started.fingerprint != plain.started.fingerprint
    own = await generate_images(server, best(1, 5, "tiny-digits"))
    assert own.started.fingerprint == (await generate_images(server, best(1, 5))).started.fingerprint


async def test_the_best_are_the_same_among_others(server: Running) -> None:
    alone = await generate_images(server, best(5, 200))
    crowd = [asyncio.create_task(stream_images(server, best(3, 60 + n, seed=n))) for n in range(16)]
    assert await generate_images(server, best(5, 200)) == alone
    await asyncio.gather(*crowd)


async def test_truncation_multiplies_drawn_latents(server: Running) -> None:
    full, half, one = [
        await generate_images(server, images(5, return_latents=True, **fields))
        for fields in ({}, {"truncation": 0.3}, {"truncation": 1.0})
    ]
    assert full == one
    for whole, short in zip(full.images, half.images, strict=True):
        expected = np.array(whole.latent.values, np.float32) * np.float32(0.3)
        np.testing.assert_array_equal(np.array(short.latent.values, np.float32), expected)
    kept = await generate_images(server, best(2, 9, truncation=0.3, return_latents=True))
    seeded = await generate_images(server, images(9, model="tiny-digits", truncation=0.3, return_latents=True))
    assert [one.latent for one in kept.images] == [seeded.images[one.row].latent for one in kept.images]


async def test_who_leaves_a_contest_gives_its_slots_back(loaded: Loaded) -> None:
    async with running(loaded, slots=1, queue=1) as server:
        call = server.image.StreamImages(image_pb2.StreamImagesRequest(generation=best(4096, 4096)))
        await asyncio.sleep(0)
        call.cancel()
        while True:  # until the server has heard of it
            try:
                reply = await generate_images(server, best(2, 8))
                break
            except grpc.aio.AioRpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE  # noqa: PT017
        assert len(reply.images) == 2


async def test_a_contest_ends_at_its_deadline(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.image.GenerateImages(image_pb2.GenerateImagesRequest(generation=best(1, 4096)), timeout=0.002)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_scores_that_would_not_fit_a_message_are_refused(tmp_path: Path) -> None:
    judge(classes=[str(number) for number in range(100)]).write(tmp_path)
    async with running(load(tmp_path), message_bytes=65_536) as server:
        fitting = await score(server, "tiny-judge", [noise(1)[0]] * 64)
        assert len(fitting[0].class_probabilities) == 100
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await score(server, "tiny-judge", [InputImage(data=b"x")] * 140)
    assert "at most 139" in str(caught.value.details())
