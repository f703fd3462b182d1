"""What a handler may do with its rpc besides returning a reply."""

import asyncio
from typing import Any

import grpc

from rhapsode_server.observe.traces import RpcSpan
from rhapsode_server.rpc.stall import StallTimer
from rhapsode_server.rpc.turns import Turns

REQUEST_ID = "x-request-id"


class ClientGone(Exception):
    """Nobody is there to send to: the client has cancelled, or its deadline has passed."""


class Call:
    """One rpc under way, with its id.

    A stream sends the id with the headers before its first message, not earlier: a client's retry policy ends with the
    first headers, so a refusal must not be preceded by any. A unary reply has it in the trailers, which go out with the
    reply; headers of their own would cost another operation of gRPC's core and another turn of the event loop.
    """

    def __init__(
        self,
        context: "grpc.aio.ServicerContext[Any, Any]",
        request_id: str,
        unary: bool,
        span: RpcSpan,
        stall_timeout: float,
    ) -> None:
        self._context = context
        self._stall = StallTimer(stall_timeout, asyncio.get_running_loop())
        self._unary = unary
        self._begun = False
        self._span = span
        self.request_id = request_id
        self.turns: Turns | None = None
        """Where it has many requests: what lets each of them in."""

    @property
    def begun(self) -> bool:
        """Whether anything was sent: what is sent next comes after it, and may have to wait for its reader."""
        return self._begun

    @property
    def peer(self) -> str:
        """The client's end of the connection, "ipv4:192.0.2.7:4711"; "unix:" for every one on a socket."""
        return str(self._context.peer())

    def says(self, key: str, value: str) -> bool:
        """Whether the client's metadata have this value under a key."""
        return (key, value) in tuple(self._context.invocation_metadata() or ())

    def time_remaining(self) -> float | None:
        """Seconds until the client's deadline; None where it named none."""
        remaining: float | None = self._context.time_remaining()
        return remaining

    async def begin(self) -> None:
        """Say the id, unless that was done."""
        if self._begun:
            return
        self._begun = True
        self._span.replied()
        told = ((REQUEST_ID, self.request_id),)
        if self._unary:
            self._context.set_trailing_metadata(told)
        else:
            await self._context.send_initial_metadata(told)

    async def write(self, message: object) -> None:
        """Send a message of a stream. Raises ClientGone, or ClientTooSlow where the client does not take it."""
        self._stall.write_begins()
        try:
            await self.begin()
            await self._context.write(message)
        except grpc.aio.InternalError as error:  # gRPC's core refuses to send once an rpc is over
            raise ClientGone from error
        except asyncio.CancelledError:
            self._stall.interrupted()
            raise
        finally:
            self._stall.write_ends()

    def close(self) -> None:
        """The handler has ended."""
        self._stall.close()
