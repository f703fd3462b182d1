"""ImageService over a real socket: which pictures come, in which form, in messages of which size."""

from collections.abc import AsyncIterator
from io import BytesIO

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from rhapsode.v1 import image_pb2
from rhapsode.v1.image_pb2 import (
    DecodeLatentsRequest,
    EncodeImagesRequest,
    ImageClass,
    InputImage,
    InterpolateImagesRequest,
    Keyframe,
    Latent,
    Latents,
    Seeds,
)
from rhapsode.v1.model_pb2 import GetModelRequest
from support.requests import generate_images, images, pixels, stream_images
from support.server import Loaded, Running, running

RAW = image_pb2.IMAGE_FORMAT_RAW_FLOAT32


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded) as started:
        yield started


async def decode(server: Running, request: DecodeLatentsRequest) -> list[bytes]:
    return pixels([message async for message in server.image.DecodeLatents(request)])


async def interpolate(server: Running, request: InterpolateImagesRequest) -> list[image_pb2.InterpolateImagesResponse]:
    return [message async for message in server.image.InterpolateImages(request)]


async def test_a_reply_has_the_pictures_in_order(server: Running) -> None:
    reply = await generate_images(server, images(5, return_latents=True))
    assert [picture.index for picture in reply.images] == [0, 1, 2, 3, 4]
    assert len(set(pixels([reply]))) == 5
    for picture in reply.images:
        assert (picture.width, picture.height, picture.channels, picture.format) == (8, 8, 3, RAW)
        assert len(picture.data) == 8 * 8 * 3 * 4
        assert len(picture.latent.values) == 8
    assert (reply.started.seed, reply.started.count, reply.started.model) == (7, 5, "tiny-faces")


async def test_a_stream_goes_on_from_any_picture(server: Running) -> None:
    whole = pixels(await stream_images(server, images(20)))
    rest = await stream_images(server, images(8, first_index=12))
    assert pixels(rest) == whole[12:]
    assert rest[0].images[0].index == 12
    assert rest[0].started.count == 8


async def test_each_of_several_seeds_gives_its_first_picture(server: Running) -> None:
    many = await generate_images(server, images(None, seeds=Seeds(seeds=[3, 9, 3])))
    assert not many.started.HasField("seed")
    alone = [pixels([await generate_images(server, images(1, seed=seed))])[0] for seed in (3, 9)]
    assert pixels([many]) == [alone[0], alone[1], alone[0]]


async def test_a_returned_latent_gives_its_picture_again(server: Running) -> None:
    reply = await generate_images(server, images(3, return_latents=True))
    latents = [picture.latent for picture in reply.images]
    again = await generate_images(server, images(None, latents=Latents(latents=latents)))
    decoded = await decode(server, DecodeLatentsRequest(model="tiny-faces", latents=latents, format=RAW))
    assert pixels([again]) == decoded == pixels([reply])


async def test_every_format_is_the_same_picture(server: Running) -> None:
    raw = (await generate_images(server, images(1))).images[0]
    values = np.frombuffer(raw.data, dtype="<f4").reshape(8, 8, 3)
    bytes_of = {
        form: (await generate_images(server, images(1, format=form))).images[0].data
        for form in image_pb2.ImageFormat.values()
    }
    spec = (await server.model.GetModel(GetModelRequest(model="tiny-faces"))).model.image
    scaled = np.rint((values - np.float32(spec.low)) * np.float32(255 / (spec.high - spec.low)))
    expected = np.clip(scaled, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(
        np.frombuffer(bytes_of[image_pb2.IMAGE_FORMAT_RAW_UINT8], np.uint8).reshape(8, 8, 3), expected
    )
    for form in (image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_WEBP, image_pb2.IMAGE_FORMAT_UNSPECIFIED):
        np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(bytes_of[form]))), expected)
    assert Image.open(BytesIO(bytes_of[image_pb2.IMAGE_FORMAT_JPEG])).size == (8, 8)


async def test_grey_pictures_have_one_channel(server: Running) -> None:
    png = (await generate_images(server, images(1, model="tiny-digits", format=image_pb2.IMAGE_FORMAT_PNG))).images[0]
    assert png.channels == 1
    assert Image.open(BytesIO(png.data)).mode == "L"


async def test_classes_by_id_by_name_or_drawn(server: Running) -> None:
    def shapes(**fields: ImageClass) -> image_pb2.ImageGeneration:
        return images(12, model="tiny-shapes", **fields)

    by_id = pixels([await generate_images(server, shapes(image_class=ImageClass(id=2)))])
    by_name = pixels([await generate_images(server, shapes(image_class=ImageClass(name="ring")))])
    drawn = pixels([await generate_images(server, shapes())])
    assert by_id == by_name
    assert drawn != by_id
    assert drawn == pixels([await generate_images(server, shapes())])


async def test_a_picture_is_encoded_and_says_whether_it_was_converted(server: Running) -> None:
    exact = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    request = EncodeImagesRequest(
        model="tiny-faces",
        images=[
            InputImage(data=file(exact, "PNG")),
            InputImage(data=exact.tobytes(), format=image_pb2.IMAGE_FORMAT_RAW_UINT8),
            InputImage(data=file(exact.resize((20, 30)), "WEBP")),
            InputImage(data=file(exact.convert("L"), "JPEG")),
            InputImage(data=file(exact.convert("RGBA"), "PNG")),
        ],
    )
    reply = await server.image.EncodeImages(request)
    assert [encoding.converted for encoding in reply.encodings] == [False, False, True, True, True]
    assert reply.encodings[0].mean == reply.encodings[1].mean == reply.encodings[4].mean
    assert len(reply.encodings[0].mean.values) == len(reply.encodings[0].log_variance.values) == 8
    assert (reply.model, reply.version, len(reply.fingerprint)) == ("tiny-faces", 1, 64)


async def test_a_raw_picture_of_floats_is_taken_as_it_is(server: Running) -> None:
    raw = (await generate_images(server, images(1))).images[0].data
    tiny = InputImage(data=raw, format=RAW)
    reply = await server.image.EncodeImages(EncodeImagesRequest(model="tiny-faces", images=[tiny]))
    assert not reply.encodings[0].converted


async def test_a_small_picture_does_not_wait_until_many_large_ones_are_read(server: Running) -> None:
    file = BytesIO()
    Image.new("1", (2000, 2000)).save(file, "PNG")
    large = EncodeImagesRequest(model="tiny-faces", images=[InputImage(data=file.getvalue())] * 40)
    small = EncodeImagesRequest(model="tiny-faces", images=[InputImage(data=bytes(8 * 8 * 3 * 4), format=RAW)])
    others = [server.image.EncodeImages(large) for _ in range(4)]
    await server.image.EncodeImages(small)
    assert not any(other.done() for other in others)
    for other in others:
        other.cancel()
    await server.image.EncodeImages(small)


async def test_the_middle_of_a_line_is_half_the_difference_of_the_means(server: Running) -> None:
    faces = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)) for i in range(2)]
    files = [InputImage(data=file(face, "PNG")) for face in faces]
    encoded = await server.image.EncodeImages(EncodeImagesRequest(model="tiny-faces", images=files))
    first, second = (np.array(encoding.mean.values, dtype=np.float32) for encoding in encoded.encodings)
    middle = Latent(values=first + (second - first) / np.float32(2))
    walk = InterpolateImagesRequest(
        model="tiny-faces", keyframes=[Keyframe(image=one) for one in files], frames_per_segment=4, format=RAW
    )
    frames = [message.image.data for message in await interpolate(server, walk)]
    assert len(frames) == 5
    assert [frames[2]] == await decode(server, DecodeLatentsRequest(model="tiny-faces", latents=[middle], format=RAW))


async def test_a_walk_visits_its_keyframes_and_comes_back_where_it_loops(server: Running) -> None:
    request = InterpolateImagesRequest(
        model="tiny-faces",
        keyframes=[Keyframe(seed=7), Keyframe(latent=Latent(values=[0.5] * 8)), Keyframe(seed=9)],
        method=image_pb2.INTERPOLATION_METHOD_SLERP,
        frames_per_segment=3,
        format=RAW,
        return_latents=True,
    )
    open_end = await interpolate(server, request)
    request.loop = True
    loop = await interpolate(server, request)
    assert [len(open_end), len(loop)] == [7, 9]
    assert [message.image.index for message in loop] == list(range(9))
    assert loop[0].started.count == 9
    assert not any(message.HasField("started") for message in loop[1:])
    assert [message.image.data for message in loop[:7]] == [message.image.data for message in open_end]
    assert [open_end[0].image.data] == pixels([await generate_images(server, images(1, seed=7))])
    assert list(open_end[3].image.latent.values) == [0.5] * 8


async def test_messages_of_a_stream_stay_small(loaded: Loaded) -> None:
    async with running(loaded, message_bytes=65_536, flush_tokens=1000) as server:
        messages = await stream_images(server, images(500))
        assert len(pixels(messages)) == 500
        assert max(message.ByteSize() for message in messages) <= 65_536
        assert len(messages) >= 500 * 768 // 65_536


def file(picture: Image.Image, form: str) -> bytes:
    target = BytesIO()
    picture.save(target, form, lossless=True)
    return target.getvalue()
