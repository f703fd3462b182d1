"""Streams that are read as fast as they come: how many tokens they get."""

import asyncio
import time

import grpc
from benchmarks.abuse.victim import TEXT

from rhapsode.v1.text_pb2 import Stopping, StreamTextRequest, TextGeneration
from rhapsode.v1.text_pb2_grpc import TextServiceStub

STREAMS = 8
_TOKENS = 8192


def tokens_in(seconds: float, address: str, model: str = TEXT, streams: int = STREAMS) -> int:
    """Read so many streams at a time for some seconds, each begun anew when it ends: the tokens of all of them."""
    return asyncio.run(_read_all(address, seconds, model, streams))


async def _read_all(address: str, seconds: float, model: str, streams: int) -> int:
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        until = time.monotonic() + seconds
        got = await asyncio.gather(*(_read(channel, model, seed, until) for seed in range(streams)))
    return sum(got)


async def _read(channel: "grpc.aio.Channel", model: str, seed: int, until: float) -> int:
    generation = TextGeneration(model=model, seed=seed, stopping=Stopping(max_tokens=_TOKENS))
    got = 0
    while time.monotonic() < until:
        call = TextServiceStub(channel).StreamText(StreamTextRequest(generation=generation))
        async for message in call:
            got += sum(len(chunk.token_ids) for chunk in message.chunks)
            if time.monotonic() >= until:
                call.cancel()
                break
    return got
