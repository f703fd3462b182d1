"""What clients for asyncio have in common: a channel, and unary calls on it."""

# ruff: noqa: ASYNC109 - a timeout here is gRPC's deadline, which travels to the server; asyncio.timeout would not

import asyncio
from typing import Self, TypeVar

import grpc.aio

from rhapsode_client.addresses import Address
from rhapsode_client.calls import Call, new_call
from rhapsode_client.channel import ChannelSettings, open_aio_channel
from rhapsode_client.errors import QuotaExceeded
from rhapsode_client.failures import aio_failures

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class AsyncLink:
    """A connection; nothing is sent before the first call."""

    def __init__(self, address: Address, settings: ChannelSettings) -> None:
        self.address = address
        self._settings = settings
        self._channel = open_aio_channel(address, settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    async def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        await self._channel.close()

    def _call(self, timeout: float | None) -> Call:
        return new_call(timeout, self._settings.retry, self._settings.resume, self._settings.sent)

    async def _unary(
        self, method: "grpc.aio.UnaryUnaryMultiCallable[RequestT, ReplyT]", request: RequestT, timeout: float | None
    ) -> ReplyT:
        call = self._call(timeout)
        attempts = call.attempts()
        while True:
            try:
                with aio_failures(call.request_id):
                    left = attempts.remaining(call.clock())
                    return await method(request, timeout=left, metadata=call.metadata)
            except QuotaExceeded as error:  # what gRPC itself sends again is in the channel's service config
                delay = attempts.delay_after(error, call.clock(), begun=False)
            await asyncio.sleep(delay)
