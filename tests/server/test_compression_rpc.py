"""CompressImages and DecompressImages over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from rhapsode.v1 import image_pb2, model_pb2
from rhapsode.v1.image_pb2 import (
    CompressedImage,
    CompressImagesRequest,
    DecodeLatentsRequest,
    DecompressImagesRequest,
    EncodeImagesRequest,
    InputImage,
    Latent,
)
from rhapsode.v1.model_pb2 import GetModelRequest
from support.bad_pictures import BAD_PICTURES
from support.bundles import autoencoder, compressor
from support.refusals import refusal
from support.requests import pixels
from support.server import Loaded, Running, load, running

RAW, BYTES = image_pb2.IMAGE_FORMAT_RAW_FLOAT32, image_pb2.IMAGE_FORMAT_RAW_UINT8
BAD = grpc.StatusCode.INVALID_ARGUMENT
STEP = 0.25

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def compressors(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Two models that compress, one that does not, and one again whose description alone is another."""
    folder = tmp_path_factory.mktemp("models")
    drafts = [compressor(), compressor("tiny-other", seed=11), autoencoder(), compressor("tiny-twin")]
    drafts[-1].bundle.description = "Described anew."
    for draft in drafts:
        draft.write(folder)
    return load(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(compressors: Loaded) -> AsyncIterator[Running]:
    async with running(compressors) as started:
        yield started


def picture(seed: int) -> InputImage:
    values = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return InputImage(data=values.tobytes(), format=BYTES)


async def compress(server: Running, *pictures: InputImage, model: str = "tiny-codec") -> list[bytes]:
    reply = await server.image.CompressImages(CompressImagesRequest(model=model, images=pictures))
    return [one.payload for one in reply.compressed]


async def decompress(server: Running, *payloads: bytes, model: str = "tiny-codec", **fields: Any) -> list[bytes]:
    request = DecompressImagesRequest(
        model=model, compressed=[CompressedImage(payload=payload) for payload in payloads], **({"format": RAW} | fields)
    )
    return [image.data for image in (await server.image.DecompressImages(request)).images]


async def assert_refused(call: Any, code: grpc.StatusCode, reason: str, field: str = "", words: str = "") -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    said = refusal(caught.value)
    assert (caught.value.code(), said.info.reason, said.fields) == (code, reason, [field] if field else [])
    assert words in (caught.value.details() or "")


async def test_a_picture_comes_back_as_its_rounded_latent_is_decoded(server: Running) -> None:
    pictures = [picture(seed) for seed in range(5)]
    encoded = await server.image.EncodeImages(EncodeImagesRequest(model="tiny-codec", images=pictures))
    codes = [np.clip(np.rint(np.array(one.mean.values) / STEP), -9, 9) * STEP for one in encoded.encodings]
    latents = [Latent(values=code) for code in codes]
    request = DecodeLatentsRequest(model="tiny-codec", latents=latents, format=RAW)
    wanted = pixels([message async for message in server.image.DecodeLatents(request)])
    assert len(set(wanted)) == 5
    assert await decompress(server, *await compress(server, *pictures)) == wanted


async def test_a_reply_says_what_made_it_and_what_was_converted(server: Running) -> None:
    large = BytesIO()
    Image.new("L", (40, 30), 99).save(large, "JPEG")
    request = CompressImagesRequest(model="tiny-codec", images=[picture(1), InputImage(data=large.getvalue())])
    reply = await server.image.CompressImages(request)
    assert [one.converted for one in reply.compressed] == [False, True]
    assert (reply.model, reply.version, len(reply.fingerprint)) == ("tiny-codec", 1, 64)
    made = await server.image.DecompressImages(
        DecompressImagesRequest(model="tiny-codec@1", compressed=reply.compressed)
    )
    assert (made.started.model, made.started.count, made.started.HasField("seed")) == ("tiny-codec", 2, False)
    assert [image.index for image in made.images] == [0, 1]
    assert {(image.width, image.height, image.channels, image.format) for image in made.images} == {(8, 8, 3, 1)}
    assert Image.open(BytesIO(made.images[0].data)).size == (8, 8)


async def test_company_changes_no_bit(server: Running) -> None:
    alone = [(await compress(server, picture(seed)))[0] for seed in range(40)]
    pictures = [(await decompress(server, payload))[0] for payload in alone]
    together = await compress(server, *(picture(seed) for seed in reversed(range(40))))
    assert together == alone[::-1]
    crowd = await asyncio.gather(
        *(compress(server, *(picture(seed) for seed in range(first, 40, 3))) for first in (0, 1, 2)),
        *(decompress(server, *alone[first::3]) for first in (0, 1, 2)),
    )
    assert crowd == [*(alone[first::3] for first in (0, 1, 2)), *(pictures[first::3] for first in (0, 1, 2))]


async def test_no_payload_with_a_flipped_byte_becomes_a_picture(server: Running) -> None:
    (payload,) = await compress(server, picture(3))
    good = await decompress(server, payload)
    for place in range(len(payload)):
        damaged = bytearray(payload)
        damaged[place] ^= 1 << place % 8
        await assert_refused(
            decompress(server, payload, bytes(damaged)), BAD, "UNREADABLE_PAYLOAD", "compressed[1].payload"
        )
    assert await decompress(server, payload) == good


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda payload: payload[:-1], "bytes that it says"),
        (lambda payload: payload + b"\0", "bytes that it says"),
        (lambda payload: payload[:10], "a payload of CompressImages"),
        (lambda _: bytes(1 << 20), "a payload of CompressImages"),
        (lambda payload: payload[:3] + b"\x02" + payload[4:], "format 1, not 2"),
    ],
    ids=["truncated", "extended", "a piece", "a mebibyte of zeros", "another format"],
)
async def test_what_is_no_payload_is_refused(server: Running, change: Any, words: str) -> None:
    (payload,) = await compress(server, picture(4))
    call = decompress(server, change(payload))
    await assert_refused(call, BAD, "UNREADABLE_PAYLOAD", "compressed[0].payload", words)


async def test_a_payload_is_read_by_what_decodes_it_alike_and_by_nothing_else(server: Running) -> None:
    (payload,) = await compress(server, picture(5))
    call = decompress(server, payload, model="tiny-other")
    await assert_refused(call, BAD, "UNREADABLE_PAYLOAD", "compressed[0].payload", "another")
    assert await decompress(server, payload, model="tiny-twin") == await decompress(server, payload)


async def test_bounds_come_first(server: Running) -> None:
    await assert_refused(decompress(server), BAD, "INVALID_FIELD", "compressed")
    await assert_refused(decompress(server, b""), BAD, "INVALID_FIELD", "compressed[0].payload")
    large = bytes((1 << 20) + 1)
    await assert_refused(decompress(server, large), BAD, "INVALID_FIELD", "compressed[0].payload", "1048576")
    await assert_refused(decompress(server, b"x", format=77), BAD, "INVALID_FIELD", "format")
    await assert_refused(compress(server), BAD, "INVALID_FIELD", "images")
    await assert_refused(compress(server, *[picture(1)] * 257), BAD, "INVALID_FIELD", "images", "256")


@pytest.mark.parametrize(("name", "data"), BAD_PICTURES, ids=[name for name, _ in BAD_PICTURES])
async def test_a_bad_picture_is_refused(server: Running, name: str, data: bytes) -> None:
    await assert_refused(compress(server, picture(1), InputImage(data=data)), BAD, "INVALID_FIELD", "images[1].data")
    assert await compress(server, picture(1)), name


async def test_a_model_without_codes_says_so(server: Running) -> None:
    unmet = grpc.StatusCode.FAILED_PRECONDITION
    await assert_refused(compress(server, picture(1), model="tiny-faces"), unmet, "UNSUPPORTED")
    await assert_refused(decompress(server, b"x", model="tiny-faces"), unmet, "UNSUPPORTED")


async def test_a_reply_that_might_outgrow_a_message_is_refused(compressors: Loaded) -> None:
    async with running(compressors, message_bytes=65_536) as server:
        (payload,) = await compress(server, picture(1))
        call = decompress(server, *[payload] * 200)
        await assert_refused(call, BAD, "OUTPUT_TOO_LARGE", "compressed")
        assert len(await decompress(server, *[payload] * 200, format=BYTES)) == 200


async def test_the_model_says_that_it_compresses(server: Running, tmp_path: Path) -> None:
    told = (await server.model.GetModel(GetModelRequest(model="tiny-codec"))).model
    assert model_pb2.CAPABILITY_COMPRESS_IMAGES in told.capabilities
    assert (told.code.step, told.code.reach) == (STEP, 9)
    plain = (await server.model.GetModel(GetModelRequest(model="tiny-faces"))).model
    assert model_pb2.CAPABILITY_COMPRESS_IMAGES not in plain.capabilities
    assert not plain.HasField("code")
    compressor("tiny-codec", reach=8).write(tmp_path)
    assert load(tmp_path).models.find("tiny-codec").fingerprint != told.runtime.fingerprint
