"""ModelService over a real socket: what it tells of each model."""

from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import bundle_pb2, image_pb2, model_pb2
from rhapsode.v1.model_pb2 import GetModelRequest, ListModelsRequest
from support.bundles import CHARACTERS
from support.requests import generate_images, images
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, max_tokens=2000, max_images_per_stream=500) as started:
        yield started


async def get(server: Running, name: str) -> model_pb2.Model:
    return (await server.model.GetModel(GetModelRequest(model=name))).model


async def test_all_models_are_listed_by_name_without_vocabularies(server: Running) -> None:
    listed = (await server.model.ListModels(ListModelsRequest())).models
    names = [model.name for model in listed]
    assert names == sorted(names)
    assert {"tiny-digits", "tiny-faces", "tiny-shapes", "tiny-text"} <= set(names)
    text = listed[names.index("tiny-text")]
    assert not text.sequence.vocabulary.tokens
    assert text.sequence.vocabulary.HasField("start_token")


async def test_a_text_model(server: Running) -> None:
    model = await get(server, "tiny-text")
    assert model.kind == bundle_pb2.MODEL_KIND_SEQUENCE
    assert tuple(model.sequence.vocabulary.tokens) == CHARACTERS
    assert list(model.capabilities) == [model_pb2.CAPABILITY_GENERATE_TEXT, model_pb2.CAPABILITY_TOKENIZE_TEXT]
    limits = model.limits
    assert (limits.prompt_tokens, limits.generated_tokens, limits.candidates) == (8192, 2000, 64)
    assert (limits.images_per_reply, limits.images_per_stream) == (0, 0)
    assert (limits.request_bytes, limits.response_bytes) == (4 << 20, 4 << 20)
    assert not model.HasField("latent")
    assert not model.HasField("image")


async def test_the_bundles_own_limit_of_a_prompt_goes_before_the_servers(server: Running) -> None:
    assert (await get(server, "with-unknown")).limits.prompt_tokens == 5


async def test_a_picture_model(server: Running) -> None:
    model = await get(server, "tiny-faces@1")
    assert list(model.capabilities) == [
        model_pb2.CAPABILITY_GENERATE_IMAGES,
        model_pb2.CAPABILITY_INTERPOLATE_IMAGES,
        model_pb2.CAPABILITY_ENCODE_IMAGES,
        model_pb2.CAPABILITY_EDIT_IMAGES,
        model_pb2.CAPABILITY_SCORE_IMAGES,
    ]
    assert (model.latent.size, model.image.height, model.image.channels) == (8, 8, 3)
    assert (model.limits.images_per_stream, model.limits.generated_tokens) == (500, 0)
    assert list((await get(server, "tiny-shapes")).classes) == ["dot", "bar", "ring"]


async def test_where_it_runs(server: Running) -> None:
    model = await get(server, "tiny-faces")
    assert (model.runtime.provider, model.runtime.provider_fallback_reason) == ("CPUExecutionProvider", "")
    assert model.runtime.batch_invariant
    assert model.runtime.max_batch_rows == 16
    assert model.runtime.onnxruntime_version
    assert len(model.runtime.fingerprint) == len(model.digest) == 64


async def test_the_limit_of_a_reply_is_true(loaded: Loaded) -> None:
    async with running(loaded, message_bytes=65_536) as server:
        most = (await get(server, "tiny-faces")).limits.images_per_reply
        png = image_pb2.IMAGE_FORMAT_PNG
        reply = await generate_images(server, images(most, format=png))
        assert len(reply.images) == most
        assert reply.ByteSize() <= 65_536
        with pytest.raises(grpc.aio.AioRpcError, match=f"at most {most}"):
            await generate_images(server, images(most + 1, format=png))
