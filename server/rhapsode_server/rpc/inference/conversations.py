"""All streams of the Open Inference Protocol that are open."""

from collections.abc import AsyncIterator

from rhapsode.oip.inference_pb2 import ModelInferRequest
from rhapsode_server.errors import ShuttingDown
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.inference.conversation import Conversation
from rhapsode_server.rpc.inference.inferring import Inferring


class Conversations:
    """Lives in the event loop."""

    def __init__(self, inferring: Inferring) -> None:
        self._inferring = inferring
        self._open: set[Conversation] = set()
        self._closed = False

    async def hold(self, requests: "AsyncIterator[ModelInferRequest]", call: Call) -> None:
        """Answer the requests of a stream. Raises what ends it."""
        assert call.turns is not None  # noqa: S101 - it has many requests
        if self._closed:
            raise _stopping()
        conversation = Conversation(self._inferring, call, call.turns)
        self._open.add(conversation)
        try:
            await conversation.hold(requests)
        finally:
            self._open.discard(conversation)

    def close(self) -> None:
        """Have each end once its requests are done."""
        self._closed = True
        for conversation in self._open:
            conversation.end(_stopping())


def _stopping() -> ShuttingDown:
    return ShuttingDown("the server is about to stop")
