"""Edits over a real socket: the pictures are those of the moved latents, whichever rpc moves them."""

from collections.abc import AsyncIterator, Sequence
from io import BytesIO

import grpc
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    AttributeEdit,
    DecodeLatentsRequest,
    EditImagesRequest,
    EncodeImagesRequest,
    FitAttributeRequest,
    InputImage,
    InterpolateImagesRequest,
    Keyframe,
    Latent,
    Latents,
    Seeds,
)
from rhapsode.v1.model_pb2 import GetModelRequest
from support.bundles import ATTRIBUTES, directions
from support.requests import generate_images, images, pixels, stream_images
from support.server import Loaded, Running, running

RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32
GLASSES, HAT = directions()["glasses"], directions()["hat"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


def noise(seed: int) -> InputImage:
    pixel_values = np.random.default_rng(seed).integers(0, 256, 192, dtype=np.uint8)
    return InputImage(data=pixel_values.tobytes(), format=image_pb2.IMAGE_FORMAT_RAW_UINT8)


async def edit(
    server: Running, sources: Sequence[Keyframe], *edits: AttributeEdit, model: str = "tiny-faces"
) -> list[image_pb2.Image]:
    asked = EditImagesRequest(model=model, sources=sources, edits=edits, format=RAW, return_latents=True)
    return [image async for message in server.image.EditImages(asked) for image in message.images]


async def decode(server: Running, *latents: np.ndarray, model: str = "tiny-faces") -> list[bytes]:
    asked = DecodeLatentsRequest(model=model, latents=[Latent(values=one) for one in latents], format=RAW)
    return pixels([message async for message in server.image.DecodeLatents(asked)])


def values(latent: Latent) -> np.ndarray:
    return np.array(latent.values, dtype=np.float32)


async def drawn(server: Running, seed: int, model: str = "tiny-faces") -> np.ndarray:
    reply = await generate_images(server, images(1, seed=seed, return_latents=True, model=model))
    return values(reply.images[0].latent)


async def test_an_edit_adds_so_many_times_the_direction(server: Running) -> None:
    start = await drawn(server, 7)
    (picture,) = await edit(server, [Keyframe(seed=7)], AttributeEdit(name="glasses", strength=-2.5))
    expected = start + np.float32(-2.5) * GLASSES
    assert values(picture.latent).tobytes() == expected.tobytes()
    assert [picture.data] == await decode(server, expected)


async def test_without_a_strength_a_name_has_its_own_and_a_vector_one(server: Running) -> None:
    start = await drawn(server, 7)
    (named,) = await edit(server, [Keyframe(seed=7)], AttributeEdit(name="hat"))
    (given,) = await edit(server, [Keyframe(seed=7)], AttributeEdit(vector=Latent(values=HAT)))
    assert np.array_equal(values(named.latent), start + np.float32(ATTRIBUTES["hat"]) * HAT)
    assert np.array_equal(values(given.latent), start + HAT)


async def test_a_strength_of_zero_changes_nothing(server: Running) -> None:
    (picture,) = await edit(server, [Keyframe(seed=7)], AttributeEdit(name="hat", strength=0.0))
    assert picture.data == pixels([await generate_images(server, images(1))])[0]


async def test_a_sources_own_edits_come_before_those_of_all(server: Running) -> None:
    own, common = AttributeEdit(name="glasses", strength=0.3), AttributeEdit(name="hat", strength=-0.7)
    latent = Latent(values=[0.1] * 8)
    sources = [Keyframe(latent=latent, edits=[own]), Keyframe(latent=latent)]
    first, second = await edit(server, sources, common)
    moved = (values(latent) + np.float32(0.3) * GLASSES) + np.float32(-0.7) * HAT
    assert values(first.latent).tobytes() == moved.tobytes()
    assert np.array_equal(values(second.latent), values(latent) + np.float32(-0.7) * HAT)
    assert [first.index, second.index] == [0, 1]


async def test_a_picture_is_edited_from_its_mean(server: Running) -> None:
    reply = await server.image.EncodeImages(EncodeImagesRequest(model="tiny-faces", images=[noise(1)]))
    mean = values(reply.encodings[0].mean)
    pictures = await edit(server, [Keyframe(seed=3), Keyframe(image=noise(1))], AttributeEdit(name="hat", strength=1.0))
    assert [pictures[1].data] == await decode(server, mean + HAT)


async def test_seeds_latents_and_streams_take_the_same_edits(server: Running) -> None:
    edits = [AttributeEdit(name="glasses"), AttributeEdit(vector=Latent(values=HAT), strength=2.0)]
    edited = [picture.data for picture in await edit(server, [Keyframe(seed=3), Keyframe(seed=4)], *edits)]
    seeds = images(None, seeds=Seeds(seeds=[3, 4]), attributes=edits)
    assert pixels([await generate_images(server, seeds)]) == pixels(await stream_images(server, seeds)) == edited
    latents = Latents(latents=[Latent(values=await drawn(server, seed)) for seed in (3, 4)])
    assert pixels([await generate_images(server, images(None, latents=latents, attributes=edits))]) == edited


async def test_an_edited_picture_is_the_same_in_any_company(server: Running) -> None:
    edits = [AttributeEdit(name="glasses", strength=0.9)]
    whole = pixels(await stream_images(server, images(40, attributes=edits)))
    for place in (0, 17, 39):
        alone = await generate_images(server, images(1, first_index=place, attributes=edits))
        assert pixels([alone]) == [whole[place]]


async def test_a_generator_without_names_takes_vectors(server: Running) -> None:
    vector = AttributeEdit(vector=Latent(values=HAT), strength=0.5)
    start = await drawn(server, 9, "tiny-digits")
    expected = await decode(server, start + np.float32(0.5) * HAT, model="tiny-digits")
    (picture,) = await edit(server, [Keyframe(seed=9)], vector, model="tiny-digits")
    generated = await generate_images(server, images(1, model="tiny-digits", seed=9, attributes=[vector]))
    assert [picture.data] == pixels([generated]) == expected


async def test_a_walk_goes_between_edited_keyframes(server: Running) -> None:
    edits = [AttributeEdit(name="hat", strength=1.0)]
    asked = InterpolateImagesRequest(
        model="tiny-faces",
        keyframes=[Keyframe(seed=7), Keyframe(seed=7, edits=edits), Keyframe(image=noise(1), edits=edits)],
        frames_per_segment=2,
        format=RAW,
    )
    frames = [message.image.data async for message in server.image.InterpolateImages(asked)]
    ends = await edit(server, [Keyframe(seed=7), Keyframe(seed=7, edits=edits), Keyframe(image=noise(1), edits=edits)])
    assert [frames[0], frames[2], frames[4]] == [picture.data for picture in ends]
    start = await drawn(server, 7)
    assert [frames[1]] == await decode(server, start + np.float32(0.5) * ((start + HAT) - start))


async def test_a_stream_of_edits_says_what_was_started_once(server: Running) -> None:
    asked = EditImagesRequest(model="tiny-faces", sources=[Keyframe(seed=seed) for seed in range(256)])
    messages = [message async for message in server.image.EditImages(asked)]
    assert messages[0].started.count == 256
    assert not messages[0].started.HasField("seed")
    assert not any(message.HasField("started") for message in messages[1:])
    assert [image.index for message in messages for image in message.images] == list(range(256))


async def test_a_fit_is_the_difference_of_the_means_and_works_from_one_pair(server: Running) -> None:
    faces = [noise(seed) for seed in range(5)]
    encoded = await server.image.EncodeImages(EncodeImagesRequest(model="tiny-faces", images=faces))
    means = np.array([one.mean.values for one in encoded.encodings])
    for present in (1, 2):
        cut = 2 * present
        asked = FitAttributeRequest(model="tiny-faces", present=faces[:present], absent=faces[present:cut])
        reply = await server.image.FitAttribute(asked)
        difference = means[:present].mean(axis=0) - means[present:cut].mean(axis=0)
        np.testing.assert_array_equal(values(reply.vector), difference.astype(np.float32))
        assert 0.5 <= reply.separation <= 1.0
        assert (reply.model, reply.version, len(reply.fingerprint)) == ("tiny-faces", 1, 64)
    (picture,) = await edit(server, [Keyframe(seed=7)], AttributeEdit(vector=reply.vector, strength=0.5))
    assert np.array_equal(values(picture.latent), await drawn(server, 7) + np.float32(0.5) * values(reply.vector))


async def test_a_model_tells_its_attributes(server: Running) -> None:
    model = (await server.model.GetModel(GetModelRequest(model="tiny-faces"))).model
    assert {attribute.name: attribute.strength for attribute in model.attributes} == dict(ATTRIBUTES)
    assert model_pb2.CAPABILITY_EDIT_IMAGES in model.capabilities
    other = (await server.model.GetModel(GetModelRequest(model="tiny-digits"))).model
    assert not other.attributes
    assert model_pb2.CAPABILITY_EDIT_IMAGES not in other.capabilities


async def test_edits_end_at_the_deadline(server: Running) -> None:
    large = BytesIO()
    Image.new("L", (2000, 2000)).save(large, "PNG")
    sources = [Keyframe(image=InputImage(data=large.getvalue()))] * 30  # half a second to read
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.image.EditImages(EditImagesRequest(model="tiny-faces", sources=sources), timeout=0.01).read()
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
