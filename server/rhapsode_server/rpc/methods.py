"""The names of all that clients may call, known before anything is served."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from rhapsode.oip import inference_pb2
from rhapsode.v1 import admin_pb2, image_pb2, model_pb2, text_pb2

REFLECTION = "grpc.reflection.v1.ServerReflection"  # of which there is no descriptor


def _service(file: object, name: str) -> ServiceDescriptor:
    return cast("ServiceDescriptor", file.DESCRIPTOR.services_by_name[name])  # type: ignore[attr-defined]


_ADMIN = _service(admin_pb2, "AdminService")
_ALPHA = _service(reflection_pb2, "ServerReflection")
_INFERENCE = _service(inference_pb2, "GRPCInferenceService")
_HEALTH = _service(health_pb2, "Health")
_MODELS = _service(model_pb2, "ModelService")
ADMINISTRATION = _ADMIN.full_name
HEALTH = _HEALTH.full_name
INFERENCE = _INFERENCE.full_name

PROBES = frozenset(f"{INFERENCE}/{name}" for name in ("ServerLive", "ServerReady", "ModelReady"))
"""The methods of the Open Inference Protocol that say how the server is, also while it stops."""

MODEL_CONTROL = frozenset(("LoadModel", "UnloadModel", "SetModelAlias", "WatchModels"))
"""The methods of ModelService that are administration."""
COMMANDS = frozenset(f"{_MODELS.full_name}/{name}" for name in MODEL_CONTROL)
"""Their full names."""
NAMED_ALONE = COMMANDS | {f"{INFERENCE}/RepositoryModel{name}" for name in ("Load", "Unload")}
"""Administration in services that are not: who may call these is named for each, never for the service."""

_SERVICES = (
    _service(text_pb2, "TextService"),
    _service(image_pb2, "ImageService"),
    _MODELS,
    _INFERENCE,
    _HEALTH,
    _ALPHA,
)
_NAMES = {
    service.full_name: frozenset(method.name for method in service.methods) - MODEL_CONTROL for service in _SERVICES
}

SERVED: Mapping[str, frozenset[str]] = MappingProxyType(_NAMES | {REFLECTION: _NAMES[_ALPHA.full_name]})
"""By the full name of each service for clients: the names of its methods."""
ADMINISTERED: Mapping[str, frozenset[str]] = MappingProxyType(
    {each.full_name: frozenset(method.name for method in each.methods) for each in (_ADMIN, _MODELS, _HEALTH)}
    | {name: SERVED[name] for name in (_ALPHA.full_name, REFLECTION)}
)
"""The same of the admin address."""


def is_served(name: str) -> bool:
    """Whether a service ("rhapsode.v1.TextService") or a method ("…/StreamText") has this name; administration too."""
    service, _, method = name.partition("/")
    places = [place[service] for place in (SERVED, ADMINISTERED) if service in place]
    return any("/" not in name or method in methods for methods in places)
