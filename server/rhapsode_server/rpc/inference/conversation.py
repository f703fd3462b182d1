"""One ModelStreamInfer: its requests run beside each other, their replies are written as they are done.

One task reads, one for each request has it run, and the handler's own writes, since the timer of a stalled reader ends
the task that writes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc

from rhapsode.oip.inference_pb2 import ModelInferRequest, ModelStreamInferResponse
from rhapsode_server.errors import AccessError, ClientTooSlow
from rhapsode_server.observe.logs import note, notes
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.inference.inferring import Inferring
from rhapsode_server.rpc.inference.room import Room
from rhapsode_server.rpc.inference.summary import Summary
from rhapsode_server.rpc.inference.turnstile import Turnstiles
from rhapsode_server.rpc.status import LONGEST_MESSAGE, code_of, mask
from rhapsode_server.rpc.turns import Turns

FINAL = "triton_final_response"
STATUS, REASON = "rhapsode_status", "rhapsode_reason"
LAST_WORDS = 0.5  # seconds in which a client can hear that its stream ends, and half-close it
_STRICT = ("triton_grpc_error", "true")


@dataclass(slots=True)
class _Reply:
    """A reply on its way, and the bytes that it and its request take."""

    message: ModelStreamInferResponse
    size: int
    model: str = ""
    """The one that was asked, where there is one."""


class Conversation:
    """Lives in the event loop, as long as its stream."""

    def __init__(self, inferring: Inferring, call: Call, turns: Turns, room: Room, turnstiles: Turnstiles) -> None:
        self._inferring = inferring
        self._call = call
        self._turns = turns
        self._peer = call.peer
        self._strict = call.says(*_STRICT)
        self._room = room
        self._turnstiles = turnstiles
        self._replies: asyncio.Queue[_Reply | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._refusal: Callable[[], Exception] | None = None
        self._winding_up: asyncio.Task[None] | None = None
        self._end: Exception | None = None
        self._summary = Summary()

    async def hold(self, requests: "AsyncIterator[ModelInferRequest]") -> None:
        """Answer requests until there are no more. Raises what ended it before."""
        self._reading = asyncio.create_task(self._read(requests))
        finishing = asyncio.create_task(self._finish(self._reading))
        try:
            while (reply := await self._replies.get()) is not None:
                await self._write(reply)
            if self._end is not None:
                raise self._end
        finally:
            self._summary.note()
            await _drop([self._reading, finishing, *filter(None, [self._winding_up]), *self._tasks])

    @property
    def requests(self) -> int:
        """Those that have been read."""
        return self._summary.requests

    def wind_up(self, make: Callable[[], Exception]) -> None:
        """Take no more on; end with an error a moment after what was taken on is done.

        Until then what comes is told the error as its own, so that a client which is busy sending hears of it.
        """
        if self._refusal is None:
            self._refusal = make
            self._winding_up = asyncio.create_task(self._wind_up(make))

    def end(self, error: Exception) -> None:
        """Read no more; end with the error once all replies are written."""
        self._end = self._end or error
        if self._reading:
            self._reading.cancel()

    async def _write(self, reply: _Reply) -> None:
        try:
            await self._call.write(reply.message)
        except ClientTooSlow:
            self._summary.blamed = reply.model
            raise
        self._summary.sent += 1
        self._room.leave(reply.size)

    async def _wind_up(self, make: Callable[[], Exception]) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        if not self._strict:  # there the first error is the end anyway
            await asyncio.sleep(LAST_WORDS)
        if self._reading and not self._reading.done():  # else the client has said that there is no more
            self.end(make())

    async def _read(self, requests: "AsyncIterator[ModelInferRequest]") -> None:
        async for request in requests:
            size = request.ByteSize() if isinstance(request, ModelInferRequest) else 0
            await self._room.enter(size)
            self._summary.requests += 1
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
        """Have a request run, and its reply written; where it ends the stream, there is none."""
        note(request=self._summary.requests)
        reply = _Reply(ModelStreamInferResponse(), size)
        message, code = reply.message.infer_response, grpc.StatusCode.CANCELLED
        try:
            await self._run(request, reply)
            code, reply.model = grpc.StatusCode.OK, self._model()
        except Exception as error:  # whatever it is, it is told as the guard would tell it, and the others go on
            code = code_of(mask(error))
            reply.model = self._model()
            self._summary.failed_by(error)
            if self._fatal(error, request, reply):
                self._room.leave(reply.size)
                return
            _tell(error, getattr(request, "id", ""), reply.message)
        finally:
            self._turns.count(code)
        message.parameters[FINAL].bool_param = True
        self._replies.put_nowait(reply)

    async def _run(self, request: ModelInferRequest, reply: _Reply) -> None:
        if self._refusal:
            raise self._refusal()
        async with self._turns.one(request):
            plan = self._inferring.plan(request, self._call)
            self._room.grow(plan.reply_bytes)
            reply.size += plan.reply_bytes
            place = self._turnstiles.place(plan.found.driver, self._peer, plan.until)
            await self._inferring.run(plan, reply.message.infer_response, place)
            self._summary.items += len(plan.rows)

    def _model(self) -> str:
        """The model of the request whose task this is, if it was found."""
        model = str(notes().get("model", ""))
        if model:
            self._summary.models.add(model)
        return model

    def _fatal(self, error: Exception, request: ModelInferRequest, reply: _Reply) -> bool:
        """Whether a request's error ends the stream, whose status it then is: the guard reports the first."""
        fatal = self._strict or isinstance(error, AccessError)
        if not fatal or self._end is not None:
            self._turns.report(error, request)
        else:
            self._summary.blamed = reply.model
        if fatal:
            self.end(error)
        return fatal


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
