"""Lets in the requests of one stream, each as if it had come by itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext

import grpc

from rhapsode_server.rpc.leases import leases
from rhapsode_server.rpc.stream_share import StreamShare


class Turns:
    """Of one stream. `report` counts and logs why a request failed, `count` how each ended."""

    def __init__(
        self,
        share: StreamShare | None,
        admit: Callable[[object], object],
        arrived: Callable[[object], Awaitable[None]],
        report: Callable[[Exception, object], object],
        count: Callable[[grpc.StatusCode], object],
    ) -> None:
        self._share = share
        self._admit = admit
        self._arrived = arrived
        self.report = report
        self.count = count

    @asynccontextmanager
    async def one(self, request: object) -> AsyncIterator[None]:
        """Have a request be under way in the block, and hold the models that it finds. Raises RhapsodeError.

        That is an AccessError where the stream's client may send nothing any more.
        """
        with self._share.request() if self._share else nullcontext(), leases():
            self._admit(request)
            await self._arrived(request)
            yield
