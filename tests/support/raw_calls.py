"""Calls of any method by its path, with bytes as its request: what a client sends that keeps to no contract."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc

Headers = Sequence[tuple[str, str]]


async def code_raw(
    channel: grpc.aio.Channel, path: str, headers: Headers = (), request: bytes | None = None
) -> grpc.StatusCode:
    """Call a method of whatever kind: its status. Without a request nothing is ever sent, and the call left open."""
    method: Any = channel.stream_stream(path) if request is None else channel.unary_stream(path)
    call = method(*() if request is None else (request,), metadata=tuple(headers), timeout=60)
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass
    code: grpc.StatusCode = await call.code()
    return code
