"""Diffusion over a real socket: shared runs, previews, latents, walks, and what a request may not ask for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    DecodeLatentsRequest,
    DiffusionOptions,
    ImageClass,
    ImageGeneration,
    InputImage,
    InterpolateImagesRequest,
    KeepBest,
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
ANCESTRAL, DDIM = image_pb2.DIFFUSION_SAMPLER_ANCESTRAL, image_pb2.DIFFUSION_SAMPLER_DDIM
RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
CLASS = ImageClass(id=1)
NAN = float("nan")
PATH = "generation.diffusion"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder: Path = tmp_path_factory.mktemp("models")
    bundles.diffusion().write(folder)
    bundles.diffusion("no-classes", classes=()).write(folder)
    bundles.diffusion("failing", nan_class=2).write(folder)
    bundles.grey_generator().write(folder)
    bundles.judge(channels=1).write(folder)
    async with running(load(folder), metrics_address="127.0.0.1:0") as started:
        yield started


def drawn(count: int | None = 3, **fields: Any) -> ImageGeneration:
    """Pictures of the tiny model; `steps` and other options of diffusion by their names."""
    names = DiffusionOptions.DESCRIPTOR.fields_by_name
    options = DiffusionOptions(**{name: fields.pop(name) for name in names if name in fields})
    return images(count, **({"model": "tiny-noise", "diffusion": options} | fields))


async def rows_and_runs(server: Running) -> tuple[float, float]:
    """Rows that the tiny model's runs have advanced, and those runs."""
    page = await server.page()
    lines = [line for line in page.splitlines() if 'model="tiny-noise"' in line and 'role="denoise"' in line]
    totals = [
        float(line.split()[-1])
        for name in ("rhapsode_rows_per_run_sum", "rhapsode_rows_per_run_count")
        for line in lines
        if line.startswith(name)
    ]
    return totals[0], totals[1]


async def test_a_picture_is_the_same_alone_streamed_and_in_company_at_other_times(server: Running) -> None:
    asked = drawn(20, steps=30, eta=0.5, guidance=2.0)
    alone = pixels([await generate_images(server, asked)])
    assert len(set(alone)) == 20
    before = await rows_and_runs(server)
    others = [
        asyncio.create_task(
            stream_images(server, drawn(5 + n, steps=3 + 4 * n, seed=n, sampler=(DDIM, ANCESTRAL)[n % 2]))
        )
        for n in range(8)
    ]
    streamed, unary = await asyncio.gather(stream_images(server, asked), generate_images(server, asked))
    await asyncio.gather(*others)
    assert pixels(streamed) == pixels([unary]) == alone
    rows, runs = (after - earlier for after, earlier in zip(await rows_and_runs(server), before, strict=True))
    assert rows == 2 * 20 * 30 + sum((5 + n) * (3 + 4 * n) for n in range(8))
    assert rows / runs > 8  # of 16: rows of all requests, at all their times, share runs


async def test_one_picture_does_not_wait_for_another_requests_many(server: Running) -> None:
    many = server.image.StreamImages(image_pb2.StreamImagesRequest(generation=drawn(400, steps=40)))
    first = await many.read()
    assert isinstance(first, image_pb2.StreamImagesResponse)
    await generate_images(server, drawn(1, steps=10))
    unread = 400 - len(first.images)
    many.cancel()
    assert unread > 200


async def test_absent_options_are_those_of_the_model(server: Running) -> None:
    usual = pixels([await generate_images(server, drawn())])
    assert usual == pixels([await generate_images(server, drawn(steps=5, guidance=1.5, sampler=DDIM, eta=0.0))])
    assert usual != pixels([await generate_images(server, drawn(steps=6))])
    assert usual != pixels([await generate_images(server, drawn(guidance=1.0))])


async def test_ancestral_sampling_is_ddim_with_all_noise_fresh(server: Running) -> None:
    ancestral = pixels([await generate_images(server, drawn(sampler=ANCESTRAL))])
    assert ancestral == pixels([await generate_images(server, drawn(eta=1.0))])
    assert ancestral != pixels([await generate_images(server, drawn())])


async def test_any_picture_can_be_made_again(server: Running) -> None:
    whole = pixels([await generate_images(server, drawn(12, sampler=ANCESTRAL))])
    rest = await stream_images(server, drawn(4, sampler=ANCESTRAL, first_index=8))
    assert pixels(rest) == whole[8:]
    assert rest[0].images[0].index == 8
    seeds = await generate_images(server, drawn(None, sampler=ANCESTRAL, seeds=Seeds(seeds=[7, 7])))
    assert pixels([seeds]) == [whole[0], whole[0]]


async def test_the_noise_is_a_latent_that_gives_the_picture_again(server: Running) -> None:
    reply = await generate_images(server, drawn(3, return_latents=True, image_class=CLASS))
    latents = [image.latent for image in reply.images]
    again = drawn(None, latents=Latents(latents=latents), image_class=CLASS)
    decode = DecodeLatentsRequest(model="tiny-noise", latents=latents, image_class=CLASS, format=RAW)
    decoded = pixels([message async for message in server.image.DecodeLatents(decode)])
    assert pixels([await generate_images(server, again)]) == decoded == pixels([reply])


async def test_a_walk_between_noises(server: Running) -> None:
    ends = await generate_images(server, drawn(None, seeds=Seeds(seeds=[1, 2]), image_class=CLASS))
    walk = InterpolateImagesRequest(
        model="tiny-noise",
        keyframes=[Keyframe(seed=1), Keyframe(seed=2)],
        method=image_pb2.INTERPOLATION_METHOD_SLERP,
        frames_per_segment=6,
        image_class=CLASS,
        format=RAW,
    )
    frames = [message.image async for message in server.image.InterpolateImages(walk)]
    assert [frame.index for frame in frames] == list(range(7))
    assert [frames[0].data, frames[-1].data] == pixels([ends])
    assert len({frame.data for frame in frames}) == 7
    walk.keyframes[1].CopyFrom(Keyframe(image=InputImage(data=b"x")))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.image.InterpolateImages(walk).read()
    assert caught.value.code() == UNSUITED


async def test_previews_come_on_the_way_and_pictures_in_order(server: Running) -> None:
    messages = await stream_images(server, drawn(300, steps=40, preview_every=3))
    previews = [image for message in messages for image in message.previews]
    assert previews  # those that were overtaken are not sent
    assert {image.steps_taken for image in previews} <= set(range(3, 40, 3))
    assert {image.index for image in previews} <= set(range(300))
    finished = [image for message in messages for image in message.images]
    assert [image.index for image in finished] == list(range(300))
    assert not any(image.HasField("steps_taken") for image in finished)
    assert pixels(messages) == pixels([await generate_images(server, drawn(300, steps=40))])


async def test_the_best_of_many_come_with_previews_of_themselves_alone(server: Running) -> None:
    best = KeepBest(drawn=9, critic="tiny-judge")
    plain = await stream_images(server, drawn(4, steps=10, keep_best=best))
    messages = await stream_images(server, drawn(4, steps=10, keep_best=best, preview_every=2))
    assert pixels(messages) == pixels(plain)
    assert {image.index for message in messages for image in message.previews} <= set(range(4))


async def test_a_stream_with_previews_goes_on_from_any_picture(server: Running) -> None:
    rest = await stream_images(server, drawn(5, steps=10, preview_every=1, first_index=7))
    assert pixels(rest) == pixels([await generate_images(server, drawn(12, steps=10))])[7:]
    assert {image.index for message in rest for image in message.previews} <= set(range(7, 12))


async def test_a_model_without_classes(server: Running) -> None:
    reply = await generate_images(server, drawn(3, model="no-classes", eta=0.3))
    assert len(set(pixels([reply]))) == 3


async def test_what_it_says_of_itself(server: Running) -> None:
    listed = (await server.model.ListModels(model_pb2.ListModelsRequest())).models
    (model,) = [model for model in listed if model.name == "tiny-noise"]
    assert list(model.capabilities) == [
        model_pb2.CAPABILITY_GENERATE_IMAGES,
        model_pb2.CAPABILITY_INTERPOLATE_IMAGES,
    ]
    assert (model.diffusion.training_steps, model.diffusion.default_steps, len(model.diffusion.signal)) == (40, 5, 0)
    assert model.limits.images_per_reply > 0
    assert model.limits.images_per_stream > 0
    assert model.runtime.batch_invariant
    whole = (await server.model.GetModel(model_pb2.GetModelRequest(model="tiny-noise"))).model
    assert len(whole.diffusion.signal) == 40
    generator = (await server.model.GetModel(model_pb2.GetModelRequest(model="tiny-digits"))).model
    assert not generator.HasField("diffusion")


async def test_noise_that_is_not_finite_is_not_sent_on(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_images(server, drawn(model="failing", image_class=ImageClass(id=2)))
    assert (caught.value.code(), refusal(caught.value).info.reason) == (grpc.StatusCode.INTERNAL, "NON_FINITE_OUTPUT")


async def test_a_deadline_ends_a_request_between_two_steps(server: Running) -> None:
    asked = image_pb2.StreamImagesRequest(generation=drawn(5000, steps=40))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in server.image.StreamImages(asked, timeout=0.2):
            pass
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await generate_images(server, drawn(1))).images


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (drawn(steps=0), BAD, f"{PATH}.steps"),
        (drawn(steps=10**6), BAD, f"{PATH}.steps"),
        (drawn(steps=41), BAD, f"{PATH}.steps"),
        (drawn(eta=NAN), BAD, f"{PATH}.eta"),
        (drawn(eta=-0.1), BAD, f"{PATH}.eta"),
        (drawn(eta=1.5), BAD, f"{PATH}.eta"),
        (drawn(eta=0.5, sampler=ANCESTRAL), BAD, f"{PATH}.eta"),
        (drawn(sampler=7), BAD, f"{PATH}.sampler"),
        (drawn(guidance=NAN), BAD, f"{PATH}.guidance"),
        (drawn(guidance=21.0), BAD, f"{PATH}.guidance"),
        (drawn(preview_every=0), BAD, f"{PATH}.preview_every"),
        (drawn(preview_every=2), BAD, f"{PATH}.preview_every"),  # in one reply
        (drawn(image_class=ImageClass(id=3)), BAD, "generation.image_class.id"),  # which means none to the graph
        (drawn(None, latents=Latents(latents=[Latent(values=[0.0] * 63)]), image_class=CLASS), BAD, "values"),
        (drawn(None, latents=Latents(latents=[Latent(values=[0.0] * 64)])), BAD, "generation.image_class"),
        (drawn(None, latents=Latents(latents=[Latent(values=[0.0] * 64)]), image_class=CLASS, eta=0.5), BAD, PATH),
        (drawn(model="no-classes", guidance=2.0), UNSUITED, ""),
        (drawn(model="no-classes", image_class=CLASS), UNSUITED, ""),
        (images(model="tiny-digits", diffusion=DiffusionOptions()), UNSUITED, ""),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused(
    server: Running, asked: ImageGeneration, code: grpc.StatusCode, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_images(server, asked)
    fields = refusal(caught.value).fields
    assert caught.value.code() == code
    assert [path.rpartition(".")[2] if field == "values" else path for path in fields] == ([field] if field else [])
    assert (await generate_images(server, drawn(1))).images
