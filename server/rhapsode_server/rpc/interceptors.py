"""The outermost layer around every rpc: requests are checked, rpcs counted and logged, errors made statuses."""

import asyncio
import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message

from rhapsode_server.errors import MalformedRequest, RequestError, ShuttingDown
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.rpcs import MethodMetrics, RpcMetrics
from rhapsode_server.observe.trace_context import CURRENT, TRACEPARENT, read_traceparent
from rhapsode_server.rpc.bounds import BoundsChecker
from rhapsode_server.rpc.call import REQUEST_ID, Call, ClientGone
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.routes import Behaviour, Service, metric_label
from rhapsode_server.rpc.status import code_of, mask, status_of

OURS = "rhapsode."
LONGEST_REQUEST_ID = 128
FLUSH = 0.05  # seconds that the line of an rpc may wait, so that those of many are written at once

_NAMES = {code: code.name.title().replace("_", "") for code in grpc.StatusCode} | {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
}


@dataclass(frozen=True, slots=True)
class _Rpc:
    """What the guard knows of a method. `ours` are checked against their bounds and refused while the server stops."""

    path: str
    ours: bool
    unary: bool
    """Whether it has one reply."""
    metrics: MethodMetrics


class _Malformed:
    """Stands for a request that is not a message of its type; reading it must not fail before the guard is there."""


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every method of the given services."""

    def __init__(
        self, services: Sequence[Service], catalog: Catalog, metrics: Metrics, rpc_metrics: RpcMetrics, log: Log
    ) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._log = log
        self._bounds = BoundsChecker()
        self._stopping = False
        self._flushing: asyncio.TimerHandle | None = None
        self._server_id = secrets.token_hex(10)
        self._count = count()
        # Made once: an rpc that comes only looks its handler up.
        self._handlers = {
            f"/{each.name}/{method.name}": self._guarded(handlers[method.name], _rpc(each.name, method, rpc_metrics))
            for each in services
            for handlers in (each.handlers(),)
            for method in each.methods
        }

    def refuse(self) -> None:
        """Refuse new requests for models from now on; those under way go on."""
        self._stopping = True
        self._log.flush()

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: "grpc.HandlerCallDetails",
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Give the method's handler with the guard around it; unknown methods are left to gRPC."""
        handler = self._handlers.get(handler_call_details.method)
        return handler or await continuation(handler_call_details)

    def _guarded(self, handler: "grpc.RpcMethodHandler[Any, Any]", rpc: _Rpc) -> "grpc.RpcMethodHandler[Any, Any]":
        make, behaviour = _shape(handler)
        guarded = partial(self._run, rpc, behaviour)
        return make(guarded, _tolerant(handler.request_deserializer, rpc), _counted(handler.response_serializer, rpc))

    async def _run(
        self, rpc: _Rpc, behaviour: Behaviour, request: object, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> object:
        began = time.perf_counter()
        call = Call(context, _sent(context, REQUEST_ID)[:LONGEST_REQUEST_ID] or self._new_id(), rpc.unary)
        CURRENT.set(read_traceparent(_sent(context, TRACEPARENT)))
        rpc.metrics.began(deadline=call.time_remaining() is not None)
        code = grpc.StatusCode.OK
        try:
            self._admit(rpc, request)
            return await _answer(behaviour, request, call)
        except (asyncio.CancelledError, ClientGone) as end:
            code = grpc.StatusCode.CANCELLED if call.time_remaining() != 0 else grpc.StatusCode.DEADLINE_EXCEEDED
            raise asyncio.CancelledError from end
        except Exception as error:  # whatever it is, it becomes a status here and nowhere else
            code = code_of(mask(error))
            if isinstance(error, RequestError):
                self._count_refusal(request, error.reason)
            elif code is grpc.StatusCode.INTERNAL:
                self._log.error("failed", request_id=call.request_id, exc_info=error)
            status, trailing = status_of(mask(error))
            # gRPC keeps the exception that abort raises for a while, and with it what the frames below it hold: a
            # request of megabytes would stay.
            del request
            _clear_frames(error)
            await context.abort(code, status.message, (*trailing, (REQUEST_ID, call.request_id)))
        finally:
            self._end(rpc, _NAMES[code], time.perf_counter() - began, call.request_id, context.peer())

    def _new_id(self) -> str:
        """An id that no other request has, here or at another server; asking the system for each is slow."""
        return f"{self._server_id}{next(self._count):012x}"

    def _admit(self, rpc: _Rpc, request: object) -> None:
        if isinstance(request, _Malformed):
            raise MalformedRequest("the bytes are not a message of the expected type, or a string in it is not UTF-8")
        if rpc.ours and isinstance(request, Message):
            if self._stopping:
                self._count_refusal(request, ShuttingDown.reason)
                raise ShuttingDown("the server is about to stop")
            self._bounds.check(request)

    def _count_refusal(self, request: object, reason: str) -> None:
        """Count what never reached a model; a model's driver counts what it refuses itself."""
        self._metrics.rejected.labels(self._catalog.label(request), reason.lower()).inc()

    def _end(self, rpc: _Rpc, code: str, seconds: float, request_id: str, peer: str) -> None:
        rpc.metrics.ended(code, seconds)
        say = self._log.keep if rpc.ours else self._log.debug
        say(
            "rpc",
            grpc_method=rpc.path,
            grpc_code=code,
            duration_ms=round(seconds * 1000, 3),
            peer=peer,
            request_id=request_id,
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


def _clear_frames(error: BaseException | None) -> None:
    """Forget the local variables of all functions that an error and its causes have left."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _rpc(service: str, method: MethodDescriptor, metrics: RpcMetrics) -> _Rpc:
    return _Rpc(
        path=f"{service}/{method.name}",
        ours=service.startswith(OURS),
        unary=not method.server_streaming,
        metrics=metrics.method(metric_label(service, method), list(_NAMES.values())),
    )


def _shape(
    handler: "grpc.RpcMethodHandler[Any, Any]",
) -> "tuple[Callable[..., grpc.RpcMethodHandler[Any, Any]], Behaviour]":
    """How to make a handler of the same kind, and what it does."""
    kinds = (
        (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
        (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
        (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
    )
    return next((make, behaviour) for make, behaviour in kinds if behaviour is not None)


def _tolerant(parse: Callable[[bytes], Any] | None, rpc: _Rpc) -> Callable[[bytes], Any]:
    """Parse a request, or give what stands for one that cannot be parsed."""

    def tolerant(data: bytes) -> object:
        rpc.metrics.received.inc()
        try:
            return parse(data) if parse else data
        except DecodeError:
            return _Malformed()

    return tolerant


def _counted(write: Callable[[Any], bytes] | None, rpc: _Rpc) -> Callable[[Any], bytes]:
    """Serialise a reply, and count it."""

    def counted(message: Any) -> bytes:  # noqa: ANN401 - any method's reply
        rpc.metrics.sent.inc()
        return write(message) if write else message

    return counted


def _sent(context: "grpc.aio.ServicerContext[Any, Any]", name: str) -> str:
    """The text that the client sent under a name of the metadata; empty if it sent none."""
    for key, value in context.invocation_metadata() or ():
        if key == name and isinstance(value, str):
            return value
    return ""


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
