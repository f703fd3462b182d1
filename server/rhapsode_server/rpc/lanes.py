"""What the graphs of all models are at."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from rhapsode.v1.admin_pb2 import LaneState
from rhapsode_server.observe.lanes import Role
from rhapsode_server.rpc.catalog import AnyDriver, Catalog

ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "text": "step",
        "decode": "decode",
        "encode": "encode",
        "critic": "critic",
        "text_critic": "critic",
        "transform": "transform",
        "denoise": "denoise",
        "gibbs": "gibbs",
    }
)
"""By the name of a driver in Served."""


def lane_states(catalog: Catalog) -> Iterator[LaneState]:
    """Say it of each, in the event loop."""
    for served in catalog.models:
        for name, role in sorted(ROLES.items(), key=lambda item: item[1]):
            driver: AnyDriver | None = getattr(served, name)
            if driver is not None:
                jobs = driver.jobs
                yield LaneState(
                    model=served.loaded.name,
                    version=served.loaded.version,
                    role=role,
                    slots=jobs.room,
                    active=jobs.active,
                    queued=jobs.queued,
                    parked=jobs.parked,
                )
