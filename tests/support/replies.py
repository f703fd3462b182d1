"""A reply as bytes that can be compared: whole, whether it came at once or as a stream."""

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, TypeAlias

import grpc
from google.protobuf.message import Message

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode.v1.image_pb2_grpc import ImageServiceStub
from rhapsode.v1.text_pb2_grpc import TextServiceStub
from support.random_requests import Asked, AskedImages, AskedText

if TYPE_CHECKING:
    from rhapsode.v1.image_pb2_grpc import ImageServiceAsyncStub
    from rhapsode.v1.text_pb2_grpc import TextServiceAsyncStub

PicturesMessage: TypeAlias = (
    image_pb2.StreamImagesResponse
    | image_pb2.DecodeLatentsResponse
    | image_pb2.InterpolateImagesResponse
    | image_pb2.EditImagesResponse
)


async def reply(channel: grpc.aio.Channel, asked: Asked, *, streamed: bool) -> bytes:
    """All that the server says to a request but timings; the same by both rpcs where `streamed` tells two apart."""
    answer: Message
    if isinstance(asked, image_pb2.CompressImagesRequest):
        return await _there_and_back(ImageServiceStub(channel), asked)
    if isinstance(asked, AskedText):
        answer = await _text(TextServiceStub(channel), asked, streamed)
    else:
        answer = await _images(ImageServiceStub(channel), asked, streamed)
    return answer.SerializeToString(deterministic=True)


async def _text(stub: "TextServiceAsyncStub", asked: AskedText, streamed: bool) -> Message:
    if isinstance(asked, text_pb2.ScoreTextRequest):
        return await stub.ScoreText(asked)
    if isinstance(asked, text_pb2.ClassifyTextRequest):
        return await stub.ClassifyText(asked)
    if streamed:
        answer = await _gather_text(stub.StreamText(text_pb2.StreamTextRequest(generation=asked)), asked)
    else:
        answer = await stub.GenerateText(text_pb2.GenerateTextRequest(generation=asked))
    for end in answer.finished:
        end.ClearField("timings")
    return answer


async def _gather_text(
    messages: AsyncIterable[text_pb2.StreamTextResponse], asked: text_pb2.TextGeneration
) -> text_pb2.GenerateTextResponse:
    """A stream in the form of the unary reply; every chunk must go on where the one before it ended."""
    received, told = len(asked.received_token_ids), [0] * (asked.candidate_count or 1)
    whole = [text_pb2.TextChunk(candidate=index, first_token_index=received) for index in range(len(told))]
    answer = text_pb2.GenerateTextResponse()
    async for message in messages:
        answer.started.MergeFrom(message.started)
        answer.finished.extend(message.finished)
        for chunk in message.chunks:
            target = whole[chunk.candidate]
            target.text += chunk.text
            target.token_ids.extend(chunk.token_ids)
            target.logprobs.extend(chunk.logprobs)
            if not chunk.echoed:
                assert chunk.first_token_index == received + told[chunk.candidate]
                told[chunk.candidate] += len(chunk.token_ids)
    answer.candidates.extend(whole)
    answer.finished.sort(key=lambda end: end.candidate)
    return answer


async def _there_and_back(stub: "ImageServiceAsyncStub", asked: image_pb2.CompressImagesRequest) -> bytes:
    """The codes of pictures, and the pictures of these codes."""
    codes = await stub.CompressImages(asked)
    back = image_pb2.DecompressImagesRequest(model=asked.model, compressed=codes.compressed)
    answers = (codes, await stub.DecompressImages(back))
    return b"".join(answer.SerializeToString(deterministic=True) for answer in answers)


async def _images(stub: "ImageServiceAsyncStub", asked: AskedImages, streamed: bool) -> Message:
    if isinstance(asked, image_pb2.EncodeImagesRequest):
        return await stub.EncodeImages(asked)
    if isinstance(asked, image_pb2.ScoreImagesRequest):
        return await stub.ScoreImages(asked)
    if isinstance(asked, image_pb2.TransformImagesRequest):
        return await stub.TransformImages(asked)
    if isinstance(asked, image_pb2.DecodeLatentsRequest):
        return await _gather_pictures(stub.DecodeLatents(asked))
    if isinstance(asked, image_pb2.InterpolateImagesRequest):
        return await _gather_pictures(stub.InterpolateImages(asked))
    if isinstance(asked, image_pb2.EditImagesRequest):
        return await _gather_pictures(stub.EditImages(asked))
    if isinstance(asked, image_pb2.FitAttributeRequest):
        return await stub.FitAttribute(asked)
    if streamed:
        return await _gather_pictures(stub.StreamImages(image_pb2.StreamImagesRequest(generation=asked)))
    return await stub.GenerateImages(image_pb2.GenerateImagesRequest(generation=asked))


async def _gather_pictures(messages: AsyncIterable[PicturesMessage]) -> image_pb2.GenerateImagesResponse:
    """A stream in the form of the unary reply."""
    answer = image_pb2.GenerateImagesResponse()
    async for message in messages:
        answer.started.MergeFrom(message.started)
        if isinstance(message, image_pb2.InterpolateImagesResponse):
            answer.images.append(message.image)
        else:
            answer.images.extend(message.images)
    return answer
