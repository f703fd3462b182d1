"""All streams of the Open Inference Protocol that are open."""

from collections.abc import AsyncIterator

from rhapsode.oip.inference_pb2 import ModelInferRequest
from rhapsode_server.config import Config
from rhapsode_server.errors import ShuttingDown
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

    async def hold(self, requests: "AsyncIterator[ModelInferRequest]", call: Call) -> None:
        """Answer the requests of a stream. Raises what ends it."""
        assert call.turns is not None  # noqa: S101 - it has many requests
        if self._closed:
            raise _stopping()
        room = self._rooms.open(call.peer)
        conversation = Conversation(self._inferring, call, call.turns, room, self._turnstiles)
        self._open.add(conversation)
        try:
            await conversation.hold(requests)
        finally:
            self._open.discard(conversation)
            room.close()

    def close(self) -> None:
        """Have each end once its requests are done."""
        self._closed = True
        for conversation in self._open:
            conversation.end(_stopping())


def _stopping() -> ShuttingDown:
    return ShuttingDown("the server is about to stop")
