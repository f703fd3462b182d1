"""All streams of the Open Inference Protocol that are open."""

import asyncio
from collections.abc import AsyncIterator

from rhapsode.oip.inference_pb2 import ModelInferRequest
from rhapsode_server.config import Config
from rhapsode_server.errors import ShuttingDown, StreamTooOld
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.inference.conversation import Conversation
from rhapsode_server.rpc.inference.inferring import Inferring
from rhapsode_server.rpc.inference.room import Rooms
from rhapsode_server.rpc.inference.turnstile import Turnstiles


class Conversations:
    """Lives in the event loop."""

    def __init__(self, inferring: Inferring, config: Config) -> None:
        self._inferring = inferring
        self._rooms = Rooms(config.max_streams_per_connection)
        self._turnstiles = Turnstiles(config)
        self._open: set[Conversation] = set()
        self._closed = False
        self._life = life(config)

    async def hold(self, requests: "AsyncIterator[ModelInferRequest]", call: Call) -> None:
        """Answer the requests of a stream. Raises what ends it."""
        assert call.turns is not None  # noqa: S101 - it has many requests
        if self._closed:
            raise _stopping()
        room = self._rooms.open(call.peer)
        conversation = Conversation(self._inferring, call, call.turns, room, self._turnstiles)
        self._open.add(conversation)
        timer = asyncio.get_running_loop().call_later(self._life, conversation.wind_up, _too_old)
        try:
            await conversation.hold(requests)
        finally:
            timer.cancel()
            self._open.discard(conversation)
            room.close()

    def close(self) -> None:
        """Have each end once its requests are done."""
        self._closed = True
        for conversation in self._open:
            conversation.wind_up(_stopping)


def life(config: Config) -> float:
    """Seconds until a stream ends by itself.

    When its connection was made nobody tells: one that has just been asked to end lives for the grace, of which half is
    left to the requests under way.
    """
    return max(1.0, min(config.connection_age, config.connection_age_grace / 2))


def _too_old() -> StreamTooOld:
    return StreamTooOld("the stream ends before its connection does: open another")


def _stopping() -> ShuttingDown:
    return ShuttingDown("the server is about to stop")
