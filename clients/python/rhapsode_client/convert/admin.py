"""Administration: values to messages, and back."""

from collections.abc import Iterable, Mapping
from datetime import UTC

from rhapsode.v1 import admin_pb2, model_pb2
from rhapsode_client.convert.scalars import member, text, whole, wrong_type
from rhapsode_client.types import (
    LaneState,
    LogLevel,
    ModelState,
    ModelStatus,
    OpenRpcs,
    ReadCredentials,
    Readiness,
    ServerState,
)


def readiness_request(readiness: Readiness) -> admin_pb2.SetReadinessRequest:
    """The request for a readiness. Raises InvalidRequest for what no one can ask for."""
    if readiness not in (Readiness.READY, Readiness.WITHDRAWN):
        raise wrong_type("readiness", "must be Readiness.READY or Readiness.WITHDRAWN")
    return admin_pb2.SetReadinessRequest(readiness=admin_pb2.Readiness.Value(f"READINESS_{readiness.upper()}"))


def log_level_request(level: LogLevel) -> admin_pb2.SetLogLevelRequest:
    """The request for a least weight of the log's lines. Raises InvalidRequest for none."""
    if level not in set(LogLevel) - {LogLevel.UNKNOWN}:
        raise wrong_type("level", "must be a LogLevel from DEBUG to ERROR")
    return admin_pb2.SetLogLevelRequest(level=admin_pb2.LogLevel.Value(f"LOG_LEVEL_{level.upper()}"))


def alias_request(model: str, alias: str, version: int | None) -> model_pb2.SetModelAliasRequest:
    """The request that an alias name a version, or none. Raises InvalidRequest."""
    named = None if version is None else whole("version", version)
    return model_pb2.SetModelAliasRequest(model=text("model", model), alias=text("alias", alias), version=named)


def server_state(message: admin_pb2.ServerState) -> ServerState:
    """What a server is doing."""
    expires = message.certificate_expiry.ToDatetime(UTC) if message.HasField("certificate_expiry") else None
    return ServerState(
        version=message.version,
        uptime_seconds=message.uptime.ToTimedelta().total_seconds(),
        readiness=readiness(message.readiness),
        lanes=tuple(_lane(lane) for lane in message.lanes),
        open_rpcs=tuple(OpenRpcs(rpcs.method, rpcs.count) for rpcs in message.open_rpcs),
        event_loop_lag_seconds=message.event_loop_lag.ToTimedelta().total_seconds(),
        certificate_expiry=expires,
        log_level=log_level(message.log_level),
    )


def readiness(value: admin_pb2.Readiness.ValueType) -> Readiness:
    """Whether requests are wanted."""
    return member(Readiness, admin_pb2.Readiness.Name, value, "READINESS_")


def log_level(value: admin_pb2.LogLevel.ValueType) -> LogLevel:
    """The least weight of the log's lines."""
    return member(LogLevel, admin_pb2.LogLevel.Name, value, "LOG_LEVEL_")


def credentials(message: admin_pb2.ReloadCredentialsResponse) -> tuple[ReadCredentials, ...]:
    """Each kind of credentials that was read."""
    return tuple(ReadCredentials(each.name, each.problem) for each in message.credentials)


def statuses(messages: Iterable[model_pb2.ModelStatus]) -> tuple[ModelStatus, ...]:
    """What is known of versions."""
    return tuple(status(message) for message in messages)


def status(message: model_pb2.ModelStatus) -> ModelStatus:
    """What is known of one version."""
    return ModelStatus(
        model=message.model,
        version=message.version,
        state=member(ModelState, model_pb2.ModelState.Name, message.state, "MODEL_STATE_"),
        loading=message.loading,
        problem=message.problem,
        digest=message.digest,
        fingerprint=message.fingerprint,
        size=message.bytes,
        aliases=tuple(message.aliases),
        changed=message.changed.ToDatetime(UTC),
    )


def aliases(message: model_pb2.SetModelAliasResponse) -> Mapping[str, int]:
    """The aliases of a model, and the versions that they name."""
    return {each.alias: each.version for each in message.aliases}


def _lane(message: admin_pb2.LaneState) -> LaneState:
    return LaneState(
        model=message.model,
        version=message.version,
        role=message.role,
        slots=message.slots,
        active=message.active,
        queued=message.queued,
        parked=message.parked,
    )
