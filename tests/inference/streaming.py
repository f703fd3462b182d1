"""Streams of requests of the Open Inference Protocol for the tests."""

import asyncio
from typing import Any

import grpc

from inference.asking import stub
from rhapsode.oip import inference_pb2 as oip
from rhapsode_server.rpc.inference.conversation import Conversation
from support.server import Running

PATIENCE = 60.0


def open_stream(server: Running, *metadata: tuple[str, str]) -> Any:
    return stub(server).ModelStreamInfer(metadata=metadata, timeout=PATIENCE)


async def reply_of(call: Any) -> oip.ModelStreamInferResponse:
    reply: oip.ModelStreamInferResponse = await call.read()
    assert isinstance(reply, oip.ModelStreamInferResponse), "the stream has ended"
    return reply


async def read_on(call: Any) -> None:
    """Read until the stream has ended, by an error or not."""
    while await call.read() is not grpc.aio.EOF:
        pass


async def ended(call: Any) -> None:
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


def conversations(server: Running) -> set[Conversation]:
    return server.server._inference._conversations._open


async def until_none_is_open(server: Running) -> None:
    async with asyncio.timeout(PATIENCE):
        while conversations(server):
            await asyncio.sleep(0.01)


async def until_read(server: Running, requests: int) -> None:
    """Wait until so many requests of the streams that are open have been read, and looked at."""
    async with asyncio.timeout(PATIENCE):
        while sum(conversation.requests for conversation in conversations(server)) < requests:
            await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
