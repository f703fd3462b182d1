"""The values of administration: what a server is doing, and where its models stand."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Readiness(StrEnum):
    """Whether load balancers should send requests: not to one that is about to stop, LEAVING, or has no model, IDLE."""

    UNKNOWN = "unknown"
    READY = "ready"
    WITHDRAWN = "withdrawn"
    LEAVING = "leaving"
    IDLE = "idle"


class LogLevel(StrEnum):
    """The weight of a line in a server's log."""

    UNKNOWN = "unknown"
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ModelState(StrEnum):
    """Where a version of a model stands."""

    UNKNOWN = "unknown"
    LOADING = "loading"
    """It is being loaded, and was not served before."""
    READY = "ready"
    UNLOADING = "unloading"
    """It is not served any more, but finishes what it has begun."""
    UNLOADED = "unloaded"
    FAILED = "failed"
    """It could not be loaded, and is not served."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What is known of one version of a model.

    `loading` is true also while it is loaded anew and served meanwhile. `problem` says why the last load failed,
    or what is waited for before there is one; one that is READY serves what was loaded before. `digest`, `fingerprint`
    and `size` (bytes of its files) are empty where it is not in memory.
    """

    model: str
    version: int
    state: ModelState
    loading: bool
    problem: str
    digest: str
    fingerprint: str
    size: int
    aliases: tuple[str, ...]
    changed: datetime


@dataclass(frozen=True, slots=True)
class LaneState:
    """One graph of one model, and its jobs: how many may hold a slot now, hold one, wait for one, and are left untaken
    by their readers.
    """

    model: str
    version: int
    role: str
    slots: int
    active: int
    queued: int
    parked: int


@dataclass(frozen=True, slots=True)
class OpenRpcs:
    """The rpcs of one method that are under way, by its full name."""

    method: str
    count: int


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server is doing now.

    `event_loop_lag_seconds` is the most by which its event loop was late in the last ten seconds; `certificate_expiry`
    is None without TLS.
    """

    version: str
    uptime_seconds: float
    readiness: Readiness
    lanes: tuple[LaneState, ...]
    open_rpcs: tuple[OpenRpcs, ...]
    event_loop_lag_seconds: float
    certificate_expiry: datetime | None
    log_level: LogLevel


@dataclass(frozen=True, slots=True)
class ReadCredentials:
    """One kind of credentials ("tls" or "access"), read anew; with a `problem` the old ones stay in use."""

    name: str
    problem: str
