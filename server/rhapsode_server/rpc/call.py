"""What a handler may do with its rpc besides returning a reply."""

from typing import Any

import grpc

REQUEST_ID = "x-request-id"


class Call:
    """One rpc under way, with its id.

    The id goes out with the first message, not before: a client's retry policy ends with the first headers, so a
    refusal must not be preceded by any.
    """

    def __init__(self, context: "grpc.aio.ServicerContext[Any, Any]", request_id: str) -> None:
        self._context = context
        self._begun = False
        self.request_id = request_id

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None where it named none."""
        remaining: float | None = self._context.time_remaining()
        return remaining

    async def begin(self) -> None:
        """Send the headers, unless they have gone."""
        if not self._begun:
            self._begun = True
            await self._context.send_initial_metadata(((REQUEST_ID, self.request_id),))

    async def write(self, message: object) -> None:
        """Send a message of a stream."""
        await self.begin()
        await self._context.write(message)
