"""A service's handlers, made from its descriptor and an object with a coroutine for each rpc.

The generated registration asks streaming methods to be generators. Ours are coroutines that write, because a
generator that its caller has left is closed late and in another context.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from rhapsode_server.observe.rpcs import Method

# What grpc hands a method handler depends on the method; the servicers' own signatures say which.
Behaviour = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Service:
    """A service and the object whose methods bear the names of its rpcs. `name` is the full name it is served under.

    Rpcs that are left out are served elsewhere: here they are methods that there are not.
    """

    descriptor: ServiceDescriptor
    servicer: object
    name: str
    left_out: frozenset[str] = frozenset()

    @property
    def methods(self) -> Sequence[MethodDescriptor]:
        """Its rpcs."""
        return [method for method in self.descriptor.methods if method.name not in self.left_out]

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """The handler of each rpc, by the rpc's name."""
        return {method.name: _handler(method, getattr(self.servicer, method.name)) for method in self.methods}

    def handler(self) -> grpc.GenericRpcHandler:
        """What to give to the server."""
        return grpc.method_handlers_generic_handler(self.name, self.handlers())


def service(descriptor: ServiceDescriptor, servicer: object, left_out: frozenset[str] = frozenset()) -> Service:
    """Serve a service under its own name."""
    return Service(descriptor, servicer, descriptor.full_name, left_out)


def metric_label(service_name: str, method: MethodDescriptor) -> Method:
    """Name a method as its metrics do."""
    kinds = {(False, False): "unary", (False, True): "server_stream", (True, False): "client_stream"}
    kind = kinds.get((method.client_streaming, method.server_streaming), "bidi_stream")
    return Method(kind, service_name, method.name)


def _handler(method: MethodDescriptor, behaviour: Behaviour) -> "grpc.RpcMethodHandler[Any, Any]":
    request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    if method.client_streaming:
        make = grpc.stream_stream_rpc_method_handler
    else:
        make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(behaviour, request.FromString, reply.SerializeToString)
