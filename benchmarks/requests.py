"""A case's requests as messages, and what comes back for one of them."""

import time
from collections.abc import AsyncIterable
from dataclasses import dataclass

import grpc
from benchmarks.cases import Case

from rhapsode.v1 import image_pb2, image_pb2_grpc, text_pb2, text_pb2_grpc

_DEADLINE_SECONDS = 300.0
_FORMATS = {"float32": image_pb2.IMAGE_FORMAT_RAW_FLOAT32, "png": image_pb2.IMAGE_FORMAT_PNG}


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds from sending a request to its first and its last item."""

    first: float
    end: float


async def send(channel: "grpc.aio.Channel", case: Case, seed: int, number: int) -> Taken:
    """Send request `number` of a case and read its answer to the end. Raises RuntimeError where items are missing."""
    if case.kind == "text":
        call = text_pb2_grpc.TextServiceStub(channel).StreamText(_text(case, seed + number), timeout=_DEADLINE_SECONDS)
        return await _read(case, call)
    stub = image_pb2_grpc.ImageServiceStub(channel)
    if case.kind == "walk":
        return await _read(case, stub.InterpolateImages(_walk(case, seed), timeout=_DEADLINE_SECONDS))
    begun = time.perf_counter()
    reply = await stub.GenerateImages(_images(case, seed, number), timeout=_DEADLINE_SECONDS)
    took = time.perf_counter() - begun
    return _complete(case, len(reply.images), Taken(took, took))


def stream(
    channel: "grpc.aio.Channel", case: Case, seed: int
) -> "grpc.aio.UnaryStreamCall[text_pb2.StreamTextRequest, text_pb2.StreamTextResponse]":
    """Send one request for text and leave its answer to be read."""
    return text_pb2_grpc.TextServiceStub(channel).StreamText(_text(case, seed), timeout=_DEADLINE_SECONDS)


async def _read(case: Case, call: AsyncIterable[object]) -> Taken:
    begun, first, items = time.perf_counter(), 0.0, 0
    async for reply in call:
        first = first or time.perf_counter() - begun
        items += _count(reply)
    return _complete(case, items, Taken(first, time.perf_counter() - begun))


def _count(reply: object) -> int:
    if isinstance(reply, text_pb2.StreamTextResponse):
        return sum(len(chunk.token_ids) for chunk in reply.chunks)
    return 1


def _complete(case: Case, items: int, taken: Taken) -> Taken:
    if items != case.items:
        raise RuntimeError(f"{case.name}: a request gave {items} of {case.items} {case.unit}s")
    return taken


def _text(case: Case, seed: int) -> text_pb2.StreamTextRequest:
    generation = text_pb2.TextGeneration(model=case.model, seed=seed, stopping=text_pb2.Stopping(max_tokens=case.items))
    if case.prompt > 1:
        generation.token_ids.ids.extend([1] * case.prompt)
    return text_pb2.StreamTextRequest(generation=generation)


def _images(case: Case, seed: int, number: int) -> image_pb2.GenerateImagesRequest:
    generation = image_pb2.ImageGeneration(
        model=case.model,
        count=case.items,
        seed=seed,
        first_index=number * case.items,
        format=_FORMATS[case.form],
    )
    return image_pb2.GenerateImagesRequest(generation=generation)


def _walk(case: Case, seed: int) -> image_pb2.InterpolateImagesRequest:
    keyframes = [image_pb2.Keyframe(seed=seed), image_pb2.Keyframe(seed=seed + 1)]
    return image_pb2.InterpolateImagesRequest(
        model=case.model, keyframes=keyframes, frames_per_segment=case.items - 1, format=_FORMATS[case.form]
    )
