"""The names of all that clients may call, known before anything is served."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from rhapsode.v1 import image_pb2, model_pb2, text_pb2

HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1.ServerReflection"


def _service(file: object, name: str) -> ServiceDescriptor:
    return cast("ServiceDescriptor", file.DESCRIPTOR.services_by_name[name])  # type: ignore[attr-defined]


_SERVICES = (
    _service(text_pb2, "TextService"),
    _service(image_pb2, "ImageService"),
    _service(model_pb2, "ModelService"),
    _service(health_pb2, "Health"),
    _service(reflection_pb2, "ServerReflection"),
)
_NAMES = {service.full_name: frozenset(method.name for method in service.methods) for service in _SERVICES}

SERVED: Mapping[str, frozenset[str]] = MappingProxyType(
    _NAMES | {REFLECTION: _NAMES["grpc.reflection.v1alpha.ServerReflection"]}
)
"""By the full name of each service: the names of its methods."""


def is_served(name: str) -> bool:
    """Whether a name is that of a service ("rhapsode.v1.TextService") or of a method ("…/StreamText")."""
    service, _, method = name.partition("/")
    return service in SERVED and ("/" not in name or method in SERVED[service])
