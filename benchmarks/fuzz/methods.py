"""The methods that a server has, as the descriptors of its services name them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from rhapsode.oip import inference_pb2
from rhapsode.v1 import image_pb2, model_pb2, text_pb2

_FILES = (
    text_pb2.DESCRIPTOR,
    image_pb2.DESCRIPTOR,
    model_pb2.DESCRIPTOR,
    inference_pb2.DESCRIPTOR,
    health_pb2.DESCRIPTOR,
)
_ADMINISTRATION = ("LoadModel", "UnloadModel", "SetModelAlias", "WatchModels")  # which have an address of their own
NAMED_ALONE = frozenset(f"/inference.GRPCInferenceService/RepositoryModel{name}" for name in ("Load", "Unload"))
"""The methods that only those may call whose entry in the access file has their full names."""
_REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
_REFLECTION_NAMES = ("grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection")


@dataclass(frozen=True, slots=True)
class Method:
    """A method under one name of its service."""

    path: str
    request: type[Message]
    reply: type[Message]
    asks_many: bool
    answers_many: bool

    @property
    def name(self) -> str:
        """Its own name, without the service's."""
        return self.path.rpartition("/")[2]

    @property
    def ours(self) -> bool:
        """Whether it is of a service of this project."""
        return self.path.startswith(("/rhapsode.", "/inference."))


def methods() -> Sequence[Method]:
    """All of them on the models' address: ours, health, and reflection under both of its names."""
    services = [service for file in _FILES for service in file.services_by_name.values()]
    named = [(service.full_name, service) for service in services]
    named += [(name, _REFLECTION) for name in _REFLECTION_NAMES]
    return [
        _method(name, method)
        for name, service in named
        for method in cast("ServiceDescriptor", service).methods
        if method.name not in _ADMINISTRATION
    ]


def _method(service: str, method: MethodDescriptor) -> Method:
    return Method(
        path=f"/{service}/{method.name}",
        request=GetMessageClass(method.input_type),
        reply=GetMessageClass(method.output_type),
        asks_many=method.client_streaming,
        answers_many=method.server_streaming,
    )
