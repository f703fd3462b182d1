"""Handlers with a guard around them, which sees every request, even what is no message of its type."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError

from rhapsode_server.errors import InvalidField, MalformedRequest, RequestError
from rhapsode_server.observe.rpcs import OTHER, Method, MethodMetrics, RpcMetrics
from rhapsode_server.rpc.methods import INFERENCE, NAMED_ALONE, PROBES
from rhapsode_server.rpc.parts import check_parts
from rhapsode_server.rpc.routes import Behaviour, metric_label

OURS = ("rhapsode.", f"{INFERENCE}/")
BOUNDED = "rhapsode."
CODES = {code: code.name.title().replace("_", "") for code in grpc.StatusCode} | {
    grpc.StatusCode.OK: "OK",
    grpc.StatusCode.CANCELLED: "Canceled",
}
"""The statuses as metrics and logs name them."""


@dataclass(frozen=True, slots=True)
class Rpc:
    """What the guard knows of a method. `ours` are traced and logged, and refused while the server stops."""

    path: str
    ours: bool
    bounded: bool
    """Whether the bounds of its request stand beside the fields in its .proto file."""
    unary: bool
    """Whether it has one reply."""
    many: bool
    """Whether it has many requests."""
    waits: bool
    """Whether it needs the model that it names to be there."""
    metrics: MethodMetrics


class Malformed:
    """Stands for a request that is of no use; reading it must not fail before the guard is there."""

    def __init__(self, error: RequestError, request_id: str = "") -> None:
        self.error = error
        self.id = request_id


Read = Callable[[Any], object]
"""What makes a request of its bytes; of several, which come one by one, gRPC has each read as it comes."""
Guarding = Callable[[Rpc, Read, Behaviour, object, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[object]]
"""What a guard does: the method, how to read its request, what its handler does, and what gRPC hands a handler."""


def refuse_malformed(request: object) -> None:
    """Raise what is wrong with what only stands for a request: MalformedRequest, or InvalidField."""
    if isinstance(request, Malformed):
        raise request.error


def rpc_unknown(metrics: RpcMetrics) -> Rpc:
    """Stand for all methods that there are not, where clients make some up."""
    label = Method(OTHER, OTHER, OTHER)
    kept = metrics.method(label, list(CODES.values()))
    return Rpc(path=OTHER, ours=True, bounded=False, unary=False, many=False, waits=False, metrics=kept)


def rpc_of(service: str, method: MethodDescriptor, metrics: RpcMetrics) -> Rpc:
    """Describe a method of a service, which is served under the given name."""
    path = f"{service}/{method.name}"
    return Rpc(
        path=path,
        ours=path.startswith(OURS) and path not in PROBES,
        bounded=path.startswith(BOUNDED),
        unary=not method.server_streaming,
        many=method.client_streaming,
        waits=path not in NAMED_ALONE | PROBES,
        metrics=metrics.method(metric_label(service, method), list(CODES.values())),
    )


def guarded(handler: "grpc.RpcMethodHandler[Any, Any]", rpc: Rpc, guard: Guarding) -> "grpc.RpcMethodHandler[Any, Any]":
    """Give a handler of the same kind that has the guard called instead."""
    make, behaviour = _shape(handler)
    parse = _tolerant(handler.request_deserializer, counts=not rpc.bounded)
    # A single request is left unread until it is known who sends it.
    read, at_once = (as_it_is, parse) if handler.request_streaming else (parse, as_it_is)
    run = partial(guard, rpc, read, behaviour)
    return make(run, _received(at_once, rpc), _counted(handler.response_serializer, rpc))


def unread(rpc: Rpc, behaviour: Behaviour, guard: Guarding) -> "grpc.RpcMethodHandler[Any, Any]":
    """Give a handler that has the guard called before anything of the request has come, whatever the method's kind."""
    return grpc.stream_stream_rpc_method_handler(partial(guard, rpc, as_it_is, behaviour))


def as_it_is(request: object) -> object:
    """The request."""
    return request


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


def _received(parse: Read, rpc: Rpc) -> Callable[[bytes], Any]:
    """Count a request, and parse it."""

    def received(data: bytes) -> object:
        rpc.metrics.received.inc()
        return parse(data)

    return received


def _tolerant(parse: Callable[[bytes], Any] | None, *, counts: bool) -> Read:
    """Parse a request, or give what stands for one that cannot be parsed, or that has too many parts to be kept."""

    def tolerant(data: bytes) -> object:
        try:
            message = parse(data) if parse else data
        except DecodeError:
            text = "the bytes are not a message of the expected type, or a string in it is not UTF-8"
            return Malformed(MalformedRequest(text))
        try:
            if counts:
                check_parts(message, len(data))
        except InvalidField as error:
            return Malformed(InvalidField(error.field, error.rule, error.metadata), getattr(message, "id", ""))
        return message

    return tolerant


def _counted(write: Callable[[Any], bytes] | None, rpc: Rpc) -> Callable[[Any], bytes]:
    """Serialise a reply, and count it."""

    def counted(message: Any) -> bytes:  # noqa: ANN401 - any method's reply
        rpc.metrics.sent.inc()
        return write(message) if write else message

    return counted
