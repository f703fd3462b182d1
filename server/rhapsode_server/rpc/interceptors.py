"""The outermost layer around every rpc: requests are checked, rpcs counted and logged, errors made statuses."""

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf.message import Message

from rhapsode_server.errors import (
    AccessError,
    ClientTooSlow,
    ModelLoading,
    QuotaError,
    RequestError,
    RhapsodeError,
    ShuttingDown,
    TooManyWatches,
    UnknownMethod,
)
from rhapsode_server.observe.logs import Log, note, notes
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.rpcs import OTHER, RpcMetrics
from rhapsode_server.observe.trace_context import CURRENT
from rhapsode_server.observe.traces import NO_TRACES, RpcSpan, Traces
from rhapsode_server.rpc.bounds import BoundsChecker
from rhapsode_server.rpc.call import REQUEST_ID, Call, ClientGone
from rhapsode_server.rpc.catalog import UNKNOWN, Catalog
from rhapsode_server.rpc.gate import Gate, Refused
from rhapsode_server.rpc.guarded import CODES, Read, Rpc, guarded, refuse_malformed, rpc_of, rpc_unknown, unread
from rhapsode_server.rpc.leases import leases
from rhapsode_server.rpc.references import reference_of
from rhapsode_server.rpc.request_ids import RequestIds
from rhapsode_server.rpc.routes import Behaviour, Service
from rhapsode_server.rpc.status import code_of, mask, status_of
from rhapsode_server.rpc.turns import Turns

FLUSH = 0.05  # seconds that the line of an rpc may wait, so that those of many are written at once


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every method of the given services."""

    def __init__(
        self,
        services: Sequence[Service],
        catalog: Catalog,
        metrics: Metrics,
        rpc_metrics: RpcMetrics,
        log: Log,
        traces: Traces = NO_TRACES,
        gate: Gate | None = None,
        stall_timeout: float = 30,
    ) -> None:
        self._gate = gate or Gate()
        self._stall_timeout = stall_timeout
        self._catalog = catalog
        self._metrics = metrics
        self._rpc_metrics = rpc_metrics
        self._log = log
        self._traces = traces
        self._bounds = BoundsChecker()
        self._stopping = False
        self._flushing: asyncio.TimerHandle | None = None
        self._ids = RequestIds()
        # Made once: an rpc that comes only looks its handler up.
        self._rpcs = {
            f"/{each.name}/{method.name}": rpc_of(each.name, method, rpc_metrics)
            for each in services
            for method in each.methods
        }
        self._handlers = {
            path: guarded(handlers[path.rpartition("/")[2]], self._rpcs[path], self._run)
            for each in services
            for handlers in (each.handlers(),)
            for path in (f"/{each.name}/{method.name}" for method in each.methods)
        }
        self._on_streams = {code: metrics.stream_requests.labels(name) for code, name in CODES.items()}
        self._unknown = rpc_unknown(rpc_metrics) if self._gate.controls else None

    def refuse(self) -> None:
        """Refuse new requests for models from now on; those under way go on."""
        self._stopping = True
        self._log.flush()

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: "grpc.HandlerCallDetails",
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Give the method's handler with the guard around it, or what refuses the rpc before its request has come.

        Refusing unknown methods is left to gRPC, unless only those who may call at all are to know what there is.
        """
        path = handler_call_details.method
        objection = None
        if self._gate.controls:
            objection = self._gate.objection(path[1:], tuple(handler_call_details.invocation_metadata or ()))
        rpc = self._rpcs.get(path, self._unknown)
        if objection is not None and rpc is not None:
            return unread(rpc, _no_such_method, partial(self._refuse, objection))
        if path in self._handlers:
            return self._handlers[path]
        if rpc is not None:
            return unread(rpc, _no_such_method, self._run)
        self._tell_unknown(handler_call_details)
        return await continuation(handler_call_details)

    async def _refuse(
        self,
        objection: AccessError | QuotaError,
        rpc: Rpc,
        read: Read,
        behaviour: Behaviour,
        _requests: object,
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> None:
        await self._run(rpc, read, behaviour, Refused(objection), context)

    async def _run(
        self, rpc: Rpc, read: Read, behaviour: Behaviour, request: object, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> object:
        began = time.perf_counter()
        metadata = tuple(context.invocation_metadata() or ())
        traces = self._traces if rpc.ours else NO_TRACES  # a probe each second is no news
        span = traces.rpc(rpc.path, metadata, context.peer())
        call = Call(context, self._ids.of(metadata), rpc.unary, span, self._stall_timeout)
        _enter(span, call.request_id)
        rpc.metrics.began(deadline=call.time_remaining() is not None)
        code = grpc.StatusCode.OK
        share = ExitStack()  # the client's
        try:
            share.enter_context(self._gate.admitted(rpc.path, request, context))
            request = read(request)
            self._admit(rpc, request)
            if rpc.many:
                call.turns = self._turns(rpc, call, context)
            with leases():
                if rpc.waits:
                    await self._arrived(call, request)
                return await _answer(behaviour, request, call)
        except (asyncio.CancelledError, ClientGone) as end:
            code = grpc.StatusCode.CANCELLED if call.time_remaining() != 0 else grpc.StatusCode.DEADLINE_EXCEEDED
            raise asyncio.CancelledError from end
        except Exception as error:  # whatever it is, it becomes a status here and nowhere else
            code = code_of(mask(error))
            self._report(error, request)
            # gRPC keeps the exception that abort raises for a while, and with it what the frames below it hold: a
            # request of megabytes would stay.
            del request
            _clear_frames(error)
            if not call.begun:  # else the status may wait until the client reads, with what was sent before: it counts
                share.close()
            await _abort(context, error, call.request_id)
        finally:
            share.close()
            call.close()
            span.end(code.name, notes())
            self._end(rpc, CODES[code], time.perf_counter() - began, context.peer())

    def _turns(self, rpc: Rpc, call: Call, context: "grpc.aio.ServicerContext[Any, Any]") -> Turns:
        share = self._gate.stream_share(rpc.path, context)
        admit, arrived = partial(self._admit, rpc), partial(self._arrived, call)
        return Turns(share, admit, arrived, self._report, self._count_on_stream)

    def _report(self, error: Exception, request: object) -> None:
        """Count and log why an rpc failed."""
        seen = mask(error)
        note(reason=seen.reason)
        if isinstance(error, RequestError | AccessError | QuotaError | TooManyWatches | ModelLoading):
            self._count_refusal(request, error)
        elif isinstance(error, ClientTooSlow):
            self._metrics.given_up.labels(self._label(request)).inc()
        elif code_of(seen) is grpc.StatusCode.INTERNAL:
            self._log.error("failed", exc_info=error)

    def _tell_unknown(self, details: "grpc.HandlerCallDetails") -> None:
        """Tell of an rpc that gRPC is about to refuse, under one name for all that clients make up."""
        metadata = tuple(details.invocation_metadata or ())
        span = self._traces.unknown(details.method, metadata)
        _enter(span, self._ids.of(metadata))
        code = grpc.StatusCode.UNIMPLEMENTED
        self._rpc_metrics.refused_unknown()
        span.end(code.name, notes())
        self._log.keep("rpc", grpc_method=OTHER, grpc_code=CODES[code])
        self._flush_soon()

    def _admit(self, rpc: Rpc, request: object) -> None:
        refuse_malformed(request)
        if rpc.ours and isinstance(request, Message):
            if self._stopping:
                stopping = ShuttingDown("the server is about to stop")
                self._count_refusal(request, stopping)
                raise stopping
            if rpc.bounded:
                self._bounds.check(request)

    async def _arrived(self, call: Call, request: object) -> None:
        """Wait for a model that is being loaded where there is the time. Raises ModelLoading or ShuttingDown."""
        if self._catalog.awaits and (reference := reference_of(request)):
            await self._catalog.arrived(reference, call.time_remaining())

    def _count_refusal(self, request: object, error: RhapsodeError) -> None:
        """Count what never reached a model; a model's driver counts what it refuses itself."""
        model = UNKNOWN if isinstance(error, AccessError) else self._label(request)
        self._metrics.rejected.labels(model, error.reason.lower()).inc()

    def _label(self, request: object) -> str:
        """The model that metrics count a request under: of a stream, the one that its end was noted for."""
        if isinstance(request, Message):
            return self._catalog.label(request)
        return self._catalog.label_of(str(notes().get("model", "")))

    def _count_on_stream(self, code: grpc.StatusCode) -> None:
        self._on_streams[code].inc()

    def _end(self, rpc: Rpc, code: str, seconds: float, peer: str) -> None:
        rpc.metrics.ended(code, seconds)
        say = self._log.keep if rpc.ours else self._log.debug
        say(
            "rpc",
            grpc_method=rpc.path,
            grpc_code=code,
            duration_ms=round(seconds * 1000, 3),
            peer=peer,
        )
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Have the log written before long; at once while the server stops, since there may be no later."""
        if self._stopping:
            self._log.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(FLUSH, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._log.flush()


async def _abort(context: "grpc.aio.ServicerContext[Any, Any]", error: Exception, request_id: str) -> NoReturn:
    """End a call with an error's status, once the client has read what was sent before, or the call is over."""
    status, trailing = status_of(mask(error))
    try:
        await context.abort(code_of(mask(error)), status.message, (*trailing, (REQUEST_ID, request_id)))
    except grpc.aio.InternalError as gone:  # the client left while its status waited behind what it did not read
        raise asyncio.CancelledError from gone


def _clear_frames(error: BaseException | None) -> None:
    """Forget the local variables of all functions that an error and its causes have left."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error may be its own cause, if by mistake
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _enter(span: RpcSpan, request_id: str) -> None:
    """Have all that is done and logged from here on belong to the rpc."""
    CURRENT.set(span.context)
    note(request_id=request_id)
    if span.context is not None:
        note(trace_id=span.context.trace_id, span_id=span.context.span_id)


async def _no_such_method(*_: object) -> None:
    raise UnknownMethod("no method of that name")


async def _answer(behaviour: Behaviour, request: object, call: Call) -> object:
    try:
        reply = await behaviour(request, call)
    except asyncio.CancelledError as error:
        if _left_by_client():
            raise
        # Let through, a cancellation from inside would leave the client without any status.
        raise ShuttingDown("the work was cancelled inside the server") from error
    await call.begin()
    return reply


def _left_by_client() -> bool:
    """Whether it is this rpc's own task that was cancelled, which only gRPC does."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
