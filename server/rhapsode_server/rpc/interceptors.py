"""The outermost layer around every rpc: requests are checked, rpcs counted and logged, errors made statuses."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from rhapsode_server.errors import MalformedRequest, RequestError, ShuttingDown
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.metrics import Metrics
from rhapsode_server.observe.rpcs import MethodMetrics, RpcMetrics
from rhapsode_server.rpc.bounds import BoundsChecker
from rhapsode_server.rpc.call import REQUEST_ID, Call
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.routes import Behaviour, Service, metric_label
from rhapsode_server.rpc.status import code_of, mask, status_of

OURS = "rhapsode."
LONGEST_REQUEST_ID = 128

_NAMES = {code: code.name.title().replace("_", "") for code in grpc.StatusCode} | {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
}


@dataclass(frozen=True, slots=True)
class _Rpc:
    """What the guard knows of a method. `ours` are checked against their bounds and refused while the server stops."""

    path: str
    ours: bool
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
        self._rpcs = {
            f"/{each.name}/{method.name}": _Rpc(
                path=f"{each.name}/{method.name}",
                ours=each.name.startswith(OURS),
                metrics=rpc_metrics.method(metric_label(each.name, method), list(_NAMES.values())),
            )
            for each in services
            for method in each.methods
        }

    def refuse(self) -> None:
        """Refuse new requests for models from now on; those under way go on."""
        self._stopping = True

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: "grpc.HandlerCallDetails",
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Give the method's handler with the guard around it; unknown methods are left to gRPC."""
        handler = await continuation(handler_call_details)
        rpc = self._rpcs.get(handler_call_details.method)
        return handler if handler is None or rpc is None else self._guarded(handler, rpc)

    def _guarded(self, handler: "grpc.RpcMethodHandler[Any, Any]", rpc: _Rpc) -> "grpc.RpcMethodHandler[Any, Any]":
        make, behaviour = _shape(handler)

        async def guarded(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:  # noqa: ANN401 - any method's
            return await self._run(rpc, behaviour, request, context)

        return make(guarded, _tolerant(handler.request_deserializer, rpc), _counted(handler.response_serializer, rpc))

    async def _run(
        self, rpc: _Rpc, behaviour: Behaviour, request: object, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> object:
        began = time.perf_counter()
        rpc.metrics.started.inc()
        call = Call(context, _request_id(context))
        code = grpc.StatusCode.OK
        try:
            self._admit(rpc, request)
            return await _answer(behaviour, request, call)
        except asyncio.CancelledError:
            code = grpc.StatusCode.CANCELLED if call.time_remaining() != 0 else grpc.StatusCode.DEADLINE_EXCEEDED
            raise
        except Exception as error:  # whatever it is, it becomes a status here and nowhere else
            code = code_of(mask(error))
            if isinstance(error, RequestError):
                self._count_refusal(request, error.reason)
            elif code is grpc.StatusCode.INTERNAL:
                self._log.error("failed", request_id=call.request_id, exc_info=error)
            status, trailing = status_of(mask(error))
            await context.abort(code, status.message, (*trailing, (REQUEST_ID, call.request_id)))
        finally:
            self._end(rpc, _NAMES[code], time.perf_counter() - began, call.request_id, context.peer())

    def _admit(self, rpc: _Rpc, request: object) -> None:
        if isinstance(request, _Malformed):
            raise MalformedRequest("the bytes are not a message of the expected type")
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
        say = self._log.info if rpc.ours else self._log.debug
        say(
            "rpc",
            grpc_method=rpc.path,
            grpc_code=code,
            duration_ms=round(seconds * 1000, 3),
            peer=peer,
            request_id=request_id,
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


def _request_id(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """The id that the client sent, or one of our own."""
    sent = dict(context.invocation_metadata() or ()).get(REQUEST_ID)
    return sent[:LONGEST_REQUEST_ID] if isinstance(sent, str) and sent else uuid.uuid4().hex


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
