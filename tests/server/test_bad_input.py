"""What is out of bounds is refused with the field and the bound, and the server goes on.

Counts, sizes, numbers that are not numbers, names, tokens, bytes that are not a message, nothing at all,
contradictions.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rhapsode.v1 import image_pb2, model_pb2, text_pb2
from rhapsode.v1.text_pb2 import LogitBias, Sampling
from support.bad_edits import EDITS
from support.bad_judgements import JUDGEMENTS
from support.bad_requests import ALL, BAD, Case
from support.bad_scores import SCORES
from support.refusals import refusal
from support.requests import generate_images, generate_text, text
from support.server import Loaded, Running, running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(loaded: Loaded) -> AsyncIterator[Running]:
    async with running(loaded, max_tokens=2000, max_prompt_tokens=500, max_images_per_stream=5000) as started:
        yield started


async def send(server: Running, request: Any) -> None:
    match request:
        case text_pb2.TextGeneration():
            await generate_text(server, request)
        case image_pb2.ImageGeneration():
            await generate_images(server, request)
        case text_pb2.GenerateTextRequest():
            await server.text.GenerateText(request)
        case text_pb2.ScoreTextRequest():
            await server.text.ScoreText(request)
        case image_pb2.EncodeImagesRequest():
            await server.image.EncodeImages(request)
        case image_pb2.ScoreImagesRequest():
            await server.image.ScoreImages(request)
        case image_pb2.DecodeLatentsRequest():
            await server.image.DecodeLatents(request).read()
        case image_pb2.InterpolateImagesRequest():
            await server.image.InterpolateImages(request).read()
        case image_pb2.EditImagesRequest():
            await server.image.EditImages(request).read()
        case image_pb2.FitAttributeRequest():
            await server.image.FitAttribute(request)
        case model_pb2.GetModelRequest():
            await server.model.GetModel(request)


async def assert_refused(server: Running, case: Case) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(server, case.request)
    error = caught.value
    said = refusal(error)
    assert (error.code(), said.info.reason, said.info.domain) == (case.code, case.reason, "rhapsode.v1")
    assert said.fields == ([case.field] if case.field else [])
    message = error.details() or ""
    assert case.words in message
    assert message.startswith(case.field)
    assert len(message) <= 1024
    good = await generate_text(server, text(3))
    assert len(good.candidates[0].token_ids) == 3


@pytest.mark.parametrize("case", [*ALL, *SCORES, *JUDGEMENTS, *EDITS], ids=lambda case: case.name)
async def test_it_is_refused_and_the_next_request_is_served(server: Running, case: Case) -> None:
    await assert_refused(server, case)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/rhapsode.v1.TextService/GenerateText", b"\x0a\x04\x0a\x02\xff\xfe"),  # a model name that is not UTF-8
        ("/rhapsode.v1.TextService/GenerateText", b"\x0a\x04\x12\x02\xed\xa0"),  # half a surrogate in the prompt
        ("/rhapsode.v1.TextService/GenerateText", b"\xff\xff\xff\xff"),
        ("/rhapsode.v1.ImageService/GenerateImages", b"\x0a\x7f"),  # a field longer than the message
        ("/rhapsode.v1.ModelService/GetModel", b"\x0a\x02\xff\xfe"),
    ],
)
async def test_a9_bytes_that_are_no_message(server: Running, path: str, data: bytes) -> None:
    call: Callable[..., Any] = server.channel.unary_unary(path)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(data)
    assert (caught.value.code(), refusal(caught.value).info.reason) == (BAD, "MALFORMED_REQUEST")
    assert (await generate_text(server, text(3))).candidates


async def test_a9_a_stream_asked_for_with_bytes_that_are_no_message(server: Running) -> None:
    method: Callable[..., Any] = server.channel.unary_stream("/rhapsode.v1.TextService/StreamText")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(b"\xff\xff").read()
    assert refusal(caught.value).info.reason == "MALFORMED_REQUEST"


async def test_a12_unknown_fields_are_passed_over(server: Running) -> None:
    request = text_pb2.GenerateTextRequest(generation=text(3)).SerializeToString() + b"\xc0\x3e\x01"
    call: Callable[..., Any] = server.channel.unary_unary("/rhapsode.v1.TextService/GenerateText")
    assert text_pb2.GenerateTextResponse.FromString(await call(request)).candidates


async def test_a6_a_model_that_gives_nan_is_not_sent_on(server: Running) -> None:
    bias = Sampling(logit_bias=[LogitBias(token_id=27, bias=100)])  # "z", after which the logits are NaN
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, text(model="failing", sampling=bias))
    assert (caught.value.code(), refusal(caught.value).info.reason) == (grpc.StatusCode.INTERNAL, "NON_FINITE_OUTPUT")


async def test_nothing_of_the_input_comes_back(server: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await generate_text(server, text(text="SECRET", model="tiny-text"))
    assert "SECRET" not in str(caught.value.details())
    assert "SECRET" not in server.log.getvalue()
