"""Chains over a real socket: previews, order, company, and what a Boltzmann machine cannot do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    DecodeLatentsRequest,
    DiffusionOptions,
    GibbsOptions,
    ImageClass,
    ImageGeneration,
    InterpolateImagesRequest,
    Keyframe,
    Latent,
    Latents,
    Seeds,
)
from support import bundles
from support.refusals import refusal
from support.requests import generate_images, images, pixels, stream_images
from support.server import Running, load, running

BAD, UNSUITED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder: Path = tmp_path_factory.mktemp("models")
    bundles.boltzmann().write(folder)
    bundles.grey_generator().write(folder)
    async with running(load(folder), metrics_address="127.0.0.1:0") as started:
        yield started


def drawn(count: int | None = 3, steps: int | None = None, **fields: object) -> ImageGeneration:
    gibbs = GibbsOptions(steps=steps) if steps else None
    return images(count, **({"model": "tiny-chain", "gibbs": gibbs} | fields))


async def test_a_picture_is_the_same_alone_streamed_and_in_company_at_other_steps(server: Running) -> None:
    alone = pixels([await generate_images(server, drawn(20, 30))])
    assert len(set(alone)) == 20
    others = [asyncio.create_task(stream_images(server, drawn(5 + n, 3 + 7 * n, seed=n))) for n in range(8)]
    streamed, unary = await asyncio.gather(stream_images(server, drawn(20, 30)), generate_images(server, drawn(20, 30)))
    await asyncio.gather(*others)
    assert pixels(streamed) == pixels([unary]) == alone
    page = await server.page()
    sums = [line for line in page.splitlines() if line.startswith("rhapsode_rows_per_run_sum") and "gibbs" in line]
    counts = [line for line in page.splitlines() if line.startswith("rhapsode_rows_per_run_count") and "gibbs" in line]
    rows, runs = (float(line.split()[-1]) for line in (sums[0], counts[0]))
    assert rows / runs > 4  # rows of all requests share runs


async def test_absent_steps_are_those_of_the_model(server: Running) -> None:
    assert pixels([await generate_images(server, drawn())]) == pixels([await generate_images(server, drawn(3, 5))])


async def test_any_picture_can_be_made_again(server: Running) -> None:
    whole = pixels([await generate_images(server, drawn(12, 6))])
    rest = await stream_images(server, drawn(4, 6, first_index=8))
    assert pixels(rest) == whole[8:]
    assert rest[0].images[0].index == 8
    seeds = await generate_images(server, drawn(None, 6, seeds=Seeds(seeds=[7, 7])))
    assert pixels([seeds]) == [whole[0], whole[0]]


async def test_a_class_by_id_or_name(server: Running) -> None:
    by_id = pixels([await generate_images(server, drawn(image_class=ImageClass(id=2)))])
    assert by_id == pixels([await generate_images(server, drawn(image_class=ImageClass(name="ring")))])
    assert by_id != pixels([await generate_images(server, drawn(image_class=ImageClass(id=0)))])


async def test_previews_come_on_the_way(server: Running) -> None:
    asked = drawn(300, gibbs=GibbsOptions(steps=40, preview_every=4))
    messages = await stream_images(server, asked)
    previews = [image for message in messages for image in message.previews]  # a slow reader may miss some
    assert {(image.index, image.steps_taken) for image in previews} <= {
        (n, taken) for n in range(300) for taken in range(4, 40, 4)
    }
    assert previews
    finished = [image for message in messages for image in message.images]
    assert [image.index for image in finished] == list(range(300))
    assert not any(image.HasField("steps_taken") for image in finished)
    eighth = pixels([await generate_images(server, drawn(300, 8))])
    assert all(image.data == eighth[image.index] for image in previews if image.steps_taken == 8)
    assert pixels(messages) == pixels([await generate_images(server, drawn(300, 40))])


async def test_what_it_says_of_itself(server: Running) -> None:
    (model,) = [
        model
        for model in (await server.model.ListModels(model_pb2.ListModelsRequest())).models
        if model.name == "tiny-chain"
    ]
    assert list(model.capabilities) == [model_pb2.CAPABILITY_GENERATE_IMAGES]
    assert (model.gibbs.default_steps, len(model.gibbs.start)) == (5, 0)
    assert model.limits.images_per_reply > 0
    assert model.runtime.batch_invariant
    whole = (await server.model.GetModel(model_pb2.GetModelRequest(model="tiny-chain"))).model
    assert list(whole.gibbs.start) == [0.25] * 16
    generator = (await server.model.GetModel(model_pb2.GetModelRequest(model="tiny-digits"))).model
    assert not generator.HasField("gibbs")


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (drawn(gibbs=GibbsOptions(steps=0)), BAD, "generation.gibbs.steps"),
        (drawn(gibbs=GibbsOptions(steps=10**6)), BAD, "generation.gibbs.steps"),
        (drawn(gibbs=GibbsOptions(preview_every=0)), BAD, "generation.gibbs.preview_every"),
        (drawn(gibbs=GibbsOptions(preview_every=2)), BAD, "generation.gibbs.preview_every"),  # in one reply
        (drawn(image_class=ImageClass(id=3)), BAD, "generation.image_class.id"),
        (drawn(return_latents=True), UNSUITED, ""),
        (drawn(None, latents=Latents(latents=[Latent(values=[0.0])])), UNSUITED, ""),
        (drawn(truncation=0.5), UNSUITED, ""),
        (drawn(diffusion=DiffusionOptions(steps=3)), UNSUITED, ""),
        (images(model="tiny-digits", gibbs=GibbsOptions()), UNSUITED, ""),
    ],
)
async def test_what_cannot_be_is_refused(
    server: Running, asked: ImageGeneration, code: grpc.StatusCode, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_images(server, asked)
    assert (caught.value.code(), refusal(caught.value).fields) == (code, [field] if field else [])
    assert (await generate_images(server, drawn(1))).images


async def test_there_are_no_latents_to_walk_between_or_to_decode(server: Running) -> None:
    walk = InterpolateImagesRequest(model="tiny-chain", keyframes=[Keyframe(seed=1), Keyframe(seed=2)])
    decode = DecodeLatentsRequest(model="tiny-chain", latents=[Latent(values=[1.0])], format=image_pb2.IMAGE_FORMAT_PNG)
    for call in (server.image.InterpolateImages(walk), server.image.DecodeLatents(decode)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() == UNSUITED
