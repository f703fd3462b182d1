"""rhapsode.v1.AdminService."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from google.protobuf.duration_pb2 import Duration

from rhapsode.v1 import admin_pb2
from rhapsode.v1.admin_pb2 import LogLevel, Readiness
from rhapsode_server.errors import InvalidField, ShuttingDown
from rhapsode_server.observe.logs import Log
from rhapsode_server.observe.rpcs import RpcMetrics
from rhapsode_server.rpc.call import Call
from rhapsode_server.rpc.catalog import Catalog
from rhapsode_server.rpc.health import Health
from rhapsode_server.rpc.lanes import lane_states
from rhapsode_server.rpc.routes import Service, service

_PREFIX = "LOG_LEVEL_"


class Reloadable(Protocol):
    """Credentials that lie in files."""

    @property
    def name(self) -> str:
        """Which they are."""

    def reload(self) -> str:
        """Read the files anew, outside of the event loop: why what they hold is not in use; or ""."""


@dataclass(frozen=True, slots=True)
class Premises:
    """What of the server its operators see and change."""

    version: str
    catalog: Catalog
    health: Health
    rpcs: RpcMetrics
    log: Log
    lag: Callable[[], float]
    """The most that the event loop was late in the last seconds, in seconds."""
    expires: Callable[[], datetime | None]
    """When the certificate ceases to be valid; None without TLS."""
    credentials: Sequence[Reloadable]
    began: float = field(default_factory=time.monotonic)


class AdminService:
    """Shows operators what the server does, and does what they say."""

    def __init__(self, premises: Premises) -> None:
        self._at = premises

    def service(self) -> Service:
        """What to register."""
        return service(admin_pb2.DESCRIPTOR.services_by_name["AdminService"], self)

    async def GetServerState(
        self, _request: admin_pb2.GetServerStateRequest, _call: Call
    ) -> admin_pb2.GetServerStateResponse:
        """Say what the server is doing now."""
        at = self._at
        state = admin_pb2.ServerState(
            version=at.version,
            uptime=_duration(time.monotonic() - at.began),
            readiness=self._readiness(),
            lanes=lane_states(at.catalog),
            open_rpcs=(admin_pb2.OpenRpcs(method=name, count=count) for name, count in sorted(at.rpcs.open().items())),
            event_loop_lag=_duration(at.lag()),
            log_level=_level(at.log),
        )
        expires = at.expires()
        if expires is not None:
            state.certificate_expiry.FromDatetime(expires)
        return admin_pb2.GetServerStateResponse(server=state)

    async def SetReadiness(self, request: admin_pb2.SetReadinessRequest, _call: Call) -> admin_pb2.SetReadinessResponse:
        """Take the server out of rotation, or back."""
        if request.readiness not in (Readiness.READINESS_READY, Readiness.READINESS_WITHDRAWN):
            raise InvalidField("readiness", "must be READINESS_READY or READINESS_WITHDRAWN")
        if self._at.health.leaving:
            raise ShuttingDown("the server is about to stop")
        self._at.health.withdraw(request.readiness == Readiness.READINESS_WITHDRAWN)
        self._at.log.warning("readiness set", readiness=Readiness.Name(request.readiness))
        return admin_pb2.SetReadinessResponse(readiness=self._readiness())

    async def SetLogLevel(self, request: admin_pb2.SetLogLevelRequest, _call: Call) -> admin_pb2.SetLogLevelResponse:
        """Write more into the log, or less."""
        log, previous = self._at.log, _level(self._at.log)
        level = LogLevel.Name(request.level).removeprefix(_PREFIX).lower()
        log.warning("log level set", least=level)  # before it holds, or there might be no such line
        log.set_level(level)
        return admin_pb2.SetLogLevelResponse(previous=previous)

    async def ReloadCredentials(
        self, _request: admin_pb2.ReloadCredentialsRequest, _call: Call
    ) -> admin_pb2.ReloadCredentialsResponse:
        """Read the files of credentials now."""
        credentials = [
            admin_pb2.ReadCredentials(name=each.name, problem=await asyncio.to_thread(each.reload))
            for each in self._at.credentials
        ]
        return admin_pb2.ReloadCredentialsResponse(credentials=credentials)

    def _readiness(self) -> Readiness.ValueType:
        if self._at.health.leaving:
            return Readiness.READINESS_LEAVING
        if self._at.health.withdrawn:
            return Readiness.READINESS_WITHDRAWN
        return Readiness.READINESS_IDLE if self._at.health.idle else Readiness.READINESS_READY


def _duration(seconds: float) -> Duration:
    made = Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made


def _level(log: Log) -> LogLevel.ValueType:
    return LogLevel.Value(f"{_PREFIX}{log.level.upper()}")
