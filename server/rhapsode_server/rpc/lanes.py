"""What the graphs of all models are at."""

from collections.abc import Iterator

from rhapsode.v1.admin_pb2 import LaneState
from rhapsode_server.rpc.catalog import Catalog


def lane_states(catalog: Catalog) -> Iterator[LaneState]:
    """Say it of each, in the event loop."""
    for served in catalog.models:
        for driver in sorted(served.drivers, key=lambda each: each.name):
            jobs = driver.jobs
            yield LaneState(
                model=served.loaded.name,
                version=served.loaded.version,
                role=driver.name.rpartition("/")[2],
                slots=jobs.room,
                active=jobs.active,
                queued=jobs.queued,
                parked=jobs.parked,
            )
