"""One ModelStreamInfer: its requests run beside each other, their replies are written as they are done.

One task reads, one for each request has it run, and the handler's own writes, since the timer of a stalled reader ends
the task that writes.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from rhapsode.oip.inference_pb2 import ModelInferRequest, ModelStreamInferResponse
from rhapsode_server.errors import AccessError
from rhapsode_server.observe.logs import note
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.inference.inferring import Inferring
from rhapsode_server.rpc.inference.room import Room
from rhapsode_server.rpc.inference.turnstile import Turnstiles
from rhapsode_server.rpc.status import LONGEST_MESSAGE, code_of, mask
from rhapsode_server.rpc.turns import Turns

FINAL = "triton_final_response"
STATUS, REASON = "rhapsode_status", "rhapsode_reason"
_STRICT = ("triton_grpc_error", "true")


@dataclass(slots=True)
class _Reply:
    """A reply on its way, and the bytes that it and its request take."""

    message: ModelStreamInferResponse
    size: int


class Conversation:
    """Lives in the event loop, as long as its stream."""

    def __init__(self, inferring: Inferring, call: Call, turns: Turns, room: Room, turnstiles: Turnstiles) -> None:
        self._inferring = inferring
        self._call = call
        self._turns = turns
        self._strict = call.says(*_STRICT)
        self._room = room
        self._turnstiles = turnstiles
        self._replies: asyncio.Queue[_Reply | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._end: Exception | None = None
        self._requests = self._failed = 0

    async def hold(self, requests: "AsyncIterator[ModelInferRequest]") -> None:
        """Answer requests until there are no more. Raises what ended it before."""
        self._reading = asyncio.create_task(self._read(requests))
        finishing = asyncio.create_task(self._finish(self._reading))
        try:
            while (reply := await self._replies.get()) is not None:
                await self._call.write(reply.message)
                self._room.leave(reply.size)
            if self._end is not None:
                raise self._end
        finally:
            note(requests=self._requests, requests_failed=self._failed)
            await _drop([self._reading, finishing, *self._tasks])

    def end(self, error: Exception) -> None:
        """Read no more; end with the error once all replies are written."""
        self._end = self._end or error
        if self._reading:
            self._reading.cancel()

    async def _read(self, requests: "AsyncIterator[ModelInferRequest]") -> None:
        async for request in requests:
            size = request.ByteSize() if isinstance(request, ModelInferRequest) else 0
            await self._room.enter(size)
            self._requests += 1
            task = asyncio.create_task(self._answer(request, size))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            del request, task
            await asyncio.sleep(0)  # the size of its reply is known when it has been looked at

    async def _finish(self, reading: "asyncio.Task[None]") -> None:
        """Tell the writer when there is nothing more to come."""
        await asyncio.wait([reading])
        if not reading.cancelled() and isinstance(broken := reading.exception(), Exception):
            self._end = self._end or broken
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._replies.put_nowait(None)

    async def _answer(self, request: ModelInferRequest, size: int) -> None:
        reply = _Reply(ModelStreamInferResponse(), size)
        message = reply.message.infer_response
        try:
            async with self._turns.one(request):
                plan = self._inferring.plan(request, self._call)
                self._room.grow(plan.reply_bytes)
                reply.size += plan.reply_bytes
                place = self._turnstiles.place(plan.found.driver, self._call.peer, plan.until)
                await self._inferring.run(plan, message, place)
        except Exception as error:  # whatever it is, it is told as the guard would tell it, and the others go on
            self._failed += 1
            if self._strict or isinstance(error, AccessError):  # nothing of what it sends will be heard
                self.end(error)
                self._room.leave(reply.size)
                return
            self._turns.report(error, request)
            _tell(error, getattr(request, "id", ""), reply.message)
        message.parameters[FINAL].bool_param = True
        self._replies.put_nowait(reply)


def _tell(error: Exception, request_id: str, response: ModelStreamInferResponse) -> None:
    """Write what a request's status would say into its reply."""
    told, message = mask(error), response.infer_response
    response.error_message = told.message.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    message.Clear()
    message.id = request_id.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    message.parameters[STATUS].string_param = code_of(told).name
    message.parameters[REASON].string_param = told.reason


async def _drop(tasks: "list[asyncio.Task[None]]") -> None:
    """Leave none behind."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
