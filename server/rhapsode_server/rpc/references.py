"""Which model a request is for."""

from collections.abc import Mapping
from types import MappingProxyType

from rhapsode.oip import inference_pb2 as oip
from rhapsode_server.repository.schema import ROLE_NAMES

_ROLES = frozenset(ROLE_NAMES.values())
# In the Open Inference Protocol each method has fields of its own for the name and the version.
_FIELDS: Mapping[type, tuple[str, str]] = MappingProxyType(
    {
        oip.ModelInferRequest: ("model_name", "model_version"),
        oip.ModelReadyRequest: ("name", "version"),
        oip.ModelMetadataRequest: ("name", "version"),
        oip.ModelConfigRequest: ("name", "version"),
        oip.ModelStatisticsRequest: ("name", "version"),
    }
)
_REPOSITORY = (oip.RepositoryModelLoadRequest, oip.RepositoryModelUnloadRequest)


def reference_of(request: object) -> str:
    """The reference of a request's model, "name" and more; empty where it names none, or is no request."""
    if fields := _FIELDS.get(type(request)):
        name, version = (getattr(request, field) for field in fields)
        return str(name.rpartition(".")[0] + (f"@{version}" if version else ""))
    if isinstance(request, _REPOSITORY):
        return bundle_of(request.model_name)[0]
    return str(getattr(getattr(request, "generation", request), "model", ""))


def bundle_of(name: str) -> tuple[str, str]:
    """The bundle that a name means and the graph's role, empty where the name is a bundle's.

    No bundle's own name ends as a graph's does (docs/bundle.md, M2).
    """
    bundle, _, role = name.rpartition(".")
    return (bundle, role) if bundle and role in _ROLES else (name, "")
