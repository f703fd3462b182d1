"""Requests that the tiny bundles answer, to be changed field by field."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from rhapsode.v1 import image_pb2, text_pb2
from rhapsode_server.config import Config
from rhapsode_server.engine.outbox import Pace
from rhapsode_server.rpc.convert_text import text_job
from support.server import Running

ENDLESS = 1_000_000
"""Tokens that nobody awaits: the request ends when its caller says so. The server needs max_tokens of as many."""

PATIENT = {"queue_wait": 86_400, "default_deadline": 86_400, "maximum_deadline": 86_400}
"""Settings of a server that lets everybody wait, though it be for an endless text."""


def text(tokens: int = 24, **fields: Any) -> text_pb2.TextGeneration:
    """A seeded text of so many tokens."""
    given: dict[str, Any] = {"model": "tiny-text", "text": "the ", "seed": 7}
    if "token_ids" in fields:
        del given["text"]
    stopping = text_pb2.Stopping(max_tokens=tokens)
    return text_pb2.TextGeneration(**(given | {"stopping": stopping} | fields))


def images(count: int | None = 3, **fields: Any) -> image_pb2.ImageGeneration:
    """Seeded raw pictures."""
    given: dict[str, Any] = {"model": "tiny-faces", "count": count, "format": image_pb2.IMAGE_FORMAT_RAW_FLOAT32}
    if not {"seed", "seeds", "latents"} & fields.keys():
        given["seed"] = 7
    return image_pb2.ImageGeneration(**(given | fields))


@asynccontextmanager
async def beside_a_text(server: Running) -> AsyncIterator[None]:
    """Have an endless text served, and read; as far as the server knows it may stop at any moment."""
    stopping = text_pb2.Stopping(max_tokens=ENDLESS, stop_sequences=["never said"])
    call = server.text.StreamText(text_pb2.StreamTextRequest(generation=text(stopping=stopping)), timeout=60)
    await call.read()

    async def read_on() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass

    reading = asyncio.create_task(read_on())
    try:
        yield
    finally:
        call.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def beside_an_unread_text(server: Running) -> AsyncIterator[None]:
    """Have an endless text keep a slot: its reader may be late by any time, and its job is not parked for it.

    Of a stream the server itself is the first reader: 1024 tokens behind, which here may be 30 ms, its slot is free.
    """
    served = server.server.catalog.find("tiny-text")
    job = text_job(text(ENDLESS), served, Config(max_tokens=ENDLESS))
    async with job.driver.submit(job.rows, math.inf, Pace(bound=ENDLESS)) as outbox:
        await anext(outbox)
        yield


async def generate_text(server: Running, asked: text_pb2.TextGeneration) -> text_pb2.GenerateTextResponse:
    return await server.text.GenerateText(text_pb2.GenerateTextRequest(generation=asked))


async def stream_text(server: Running, asked: text_pb2.TextGeneration) -> list[text_pb2.StreamTextResponse]:
    return [message async for message in server.text.StreamText(text_pb2.StreamTextRequest(generation=asked))]


async def score(
    server: Running, *inputs: str | text_pb2.ScoreInput, model: str = "tiny-text", top_logprobs: int = 0
) -> text_pb2.ScoreTextResponse:
    given = [text_pb2.ScoreInput(text=one) if isinstance(one, str) else one for one in inputs]
    asked = text_pb2.ScoreTextRequest(model=model, inputs=given, top_logprobs=top_logprobs)
    return await server.text.ScoreText(asked)


async def classify(
    server: Running, *inputs: str | text_pb2.ScoreInput, model: str = "tiny-taste"
) -> text_pb2.ClassifyTextResponse:
    given = [text_pb2.ScoreInput(text=one) if isinstance(one, str) else one for one in inputs]
    return await server.text.ClassifyText(text_pb2.ClassifyTextRequest(model=model, inputs=given))


async def generate_images(server: Running, asked: image_pb2.ImageGeneration) -> image_pb2.GenerateImagesResponse:
    return await server.image.GenerateImages(image_pb2.GenerateImagesRequest(generation=asked))


async def stream_images(server: Running, asked: image_pb2.ImageGeneration) -> list[image_pb2.StreamImagesResponse]:
    return [message async for message in server.image.StreamImages(image_pb2.StreamImagesRequest(generation=asked))]


def pixels(messages: Any) -> list[bytes]:
    """The data of every picture of some messages."""
    return [image.data for message in messages for image in message.images]
