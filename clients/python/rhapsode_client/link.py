"""What synchronous clients have in common: a channel, and unary calls on it."""

import time
from typing import Self, TypeVar

import grpc

from rhapsode_client.addresses import Address
from rhapsode_client.calls import Call, new_call
from rhapsode_client.channel import ChannelSettings, open_channel
from rhapsode_client.errors import QuotaExceeded
from rhapsode_client.failures import failures

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class Link:
    """A connection; nothing is sent before the first call."""

    def __init__(self, address: Address, settings: ChannelSettings) -> None:
        self.address = address
        self._settings = settings
        self._channel = open_channel(address, settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"

    def close(self) -> None:
        """Close the connection; calls under way are cancelled."""
        self._channel.close()

    def _call(self, timeout: float | None) -> Call:
        return new_call(timeout, self._settings.retry, self._settings.resume, self._settings.sent)

    def _unary(
        self, method: "grpc.UnaryUnaryMultiCallable[RequestT, ReplyT]", request: RequestT, timeout: float | None
    ) -> ReplyT:
        call = self._call(timeout)
        attempts = call.attempts()
        while True:
            try:
                with failures(call.request_id):
                    left = attempts.remaining(call.clock())
                    return method(request, timeout=left, metadata=call.metadata)
            except QuotaExceeded as error:  # what gRPC itself sends again is in the channel's service config
                delay = attempts.delay_after(error, call.clock(), begun=False)
            time.sleep(delay)
