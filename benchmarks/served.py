"""The same loads through a server in another process, by the generated stubs."""

import asyncio
import time
from collections.abc import AsyncIterable, Callable
from statistics import median
from typing import TypeVar

import grpc
from benchmarks.cases import Case, Measurement
from benchmarks.cost import cpu_seconds
from deploy.local_server import LocalServer

from rhapsode.v1 import image_pb2, image_pb2_grpc, text_pb2, text_pb2_grpc

_DEADLINE_SECONDS = 300.0

_Reply = TypeVar("_Reply")


async def measure(server: LocalServer, case: Case, seed: int) -> Measurement:
    """Send a case's requests at once, wait for all of their answers, and account for both processes' CPU time."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        await channel.channel_ready()
        wall, own, theirs = time.perf_counter(), time.process_time(), cpu_seconds(server.process_id)
        firsts: list[float] = []
        for repeat in range(case.repeats):
            requests = (_request(channel, case, seed + repeat, number) for number in range(case.requests))
            firsts += await asyncio.gather(*requests)
        return Measurement(
            case.name,
            "served",
            case.total,
            time.perf_counter() - wall,
            cpu_seconds(server.process_id) - theirs,
            time.process_time() - own,
            median(firsts),
        )


async def _request(channel: "grpc.aio.Channel", case: Case, seed: int, number: int) -> float:
    if case.kind == "text":
        return await _stream_text(channel, case, seed + number)
    return await _stream_images(channel, case, seed, number)


async def _stream_text(channel: "grpc.aio.Channel", case: Case, seed: int) -> float:
    stopping = text_pb2.Stopping(max_tokens=case.items)
    generation = text_pb2.TextGeneration(model=case.model, seed=seed, stopping=stopping)
    call = text_pb2_grpc.TextServiceStub(channel).StreamText(
        text_pb2.StreamTextRequest(generation=generation), timeout=_DEADLINE_SECONDS
    )
    first, tokens = await _first_and_total(call, lambda reply: sum(len(chunk.token_ids) for chunk in reply.chunks))
    return _complete(first, tokens, case)


async def _stream_images(channel: "grpc.aio.Channel", case: Case, seed: int, number: int) -> float:
    generation = image_pb2.ImageGeneration(
        model=case.model,
        count=case.items,
        seed=seed,
        first_index=number * case.items,
        format=image_pb2.IMAGE_FORMAT_RAW_UINT8,
    )
    call = image_pb2_grpc.ImageServiceStub(channel).StreamImages(
        image_pb2.StreamImagesRequest(generation=generation), timeout=_DEADLINE_SECONDS
    )
    first, pictures = await _first_and_total(call, lambda reply: len(reply.images))
    return _complete(first, pictures, case)


async def _first_and_total(call: AsyncIterable[_Reply], count: Callable[[_Reply], int]) -> tuple[float, int]:
    begun, first, items = time.perf_counter(), 0.0, 0
    async for reply in call:
        first = first or time.perf_counter() - begun
        items += count(reply)
    return first, items


def _complete(first: float, items: int, case: Case) -> float:
    if items != case.items:
        raise RuntimeError(f"{case.name}: a request gave {items} of {case.items} {case.unit}s")
    return first
