"""The one place where a gRPC status becomes an error of this package."""

from collections.abc import Iterable
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from rhapsode_client import errors

_BY_REASON: dict[str, type[errors.RhapsodeError]] = {
    "UNKNOWN_TOKEN": errors.UnknownToken,
    "OUTPUT_TOO_LARGE": errors.OutputTooLarge,
    "UNREADABLE_PAYLOAD": errors.UnreadablePayload,
    "MALFORMED_REQUEST": errors.MalformedRequest,
    "QUEUE_FULL": errors.QueueFull,
    "MODEL_LOADING": errors.ModelLoading,
    "SHUTTING_DOWN": errors.ServerStopping,
    "LOAD_FAILED": errors.LoadFailed,
    "MODEL_IN_USE": errors.ModelInUse,
    "REPOSITORY_FULL": errors.RepositoryFull,
    "NON_FINITE_OUTPUT": errors.NonFiniteOutput,
    "CLIENT_CONCURRENCY": errors.QuotaExceeded,
    "QUOTA_EXCEEDED": errors.QuotaExceeded,
}
_BY_CODE: dict[grpc.StatusCode, type[errors.RhapsodeError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidRequest,
    grpc.StatusCode.NOT_FOUND: errors.ModelNotFound,
    grpc.StatusCode.FAILED_PRECONDITION: errors.Unsupported,
    grpc.StatusCode.UNIMPLEMENTED: errors.UnknownMethod,
    grpc.StatusCode.UNAUTHENTICATED: errors.NotAuthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
}
# A broken connection ends a call with UNAVAILABLE, or with one of these and such words from gRPC's core.
_BROKEN_CODES = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
_BROKEN_WORDS = ("RST_STREAM", "Stream removed", "Socket closed", "Connection reset", "GOAWAY")


@dataclass(frozen=True, slots=True)
class Details:
    """What a status says beside its code and message; empty or None where it does not."""

    reason: str = ""
    field_violations: tuple[errors.FieldViolation, ...] = ()
    retry_delay: float | None = None
    retry_forbidden: bool = False
    by_server: bool = False


def error_of(
    code: grpc.StatusCode, message: str, trailing: Iterable[tuple[str, str | bytes]], request_id: str
) -> errors.RhapsodeError:
    """The error for a status that is not OK, as the server's program or gRPC's core on either side gave it."""
    details = details_of(trailing)
    # A deadline that passes before a server's last word is read comes with the details of that word.
    reason = "" if code is grpc.StatusCode.DEADLINE_EXCEEDED else details.reason
    kind = _BY_REASON.get(reason) or _by_code(code, message, details)
    return kind(
        message or code.name,
        code=code.name,
        reason=details.reason,
        field_violations=details.field_violations,
        retry_delay=details.retry_delay,
        request_id=request_id,
        retryable=issubclass(kind, errors.Unavailable | errors.QuotaExceeded) and not details.retry_forbidden,
    )


def _by_code(code: grpc.StatusCode, message: str, details: Details) -> type[errors.RhapsodeError]:
    # A server's program gives details with every status; what has none comes from gRPC's core on the way.
    if not details.by_server and _is_broken(code, message):
        return errors.ConnectionLost
    return _BY_CODE.get(code, errors.ServerFailure)


def _is_broken(code: grpc.StatusCode, message: str) -> bool:
    if code is grpc.StatusCode.CANCELLED:
        return "Channel closed" not in message  # which is our own doing
    if code in _BROKEN_CODES:
        return any(words in message for words in _BROKEN_WORDS)
    return code is grpc.StatusCode.UNAVAILABLE


def details_of(trailing: Iterable[tuple[str, str | bytes]]) -> Details:
    """The details in a call's trailing metadata (google.rpc.Status and gRPC's retry pushback)."""
    values = dict(trailing)
    pushback = _milliseconds(values.get("grpc-retry-pushback-ms"))
    status = _status(values.get("grpc-status-details-bin"))
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for known in (info, bad, retry):
            detail.Unpack(known)
    delay = retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
    if pushback is not None and pushback >= 0:
        delay = pushback / 1000
    return Details(
        reason=info.reason,
        field_violations=tuple(
            errors.FieldViolation(violation.field, violation.description) for violation in bad.field_violations
        ),
        retry_delay=delay,
        retry_forbidden=pushback is not None and pushback < 0,
        by_server=bool(status.details) or pushback is not None,
    )


def _status(serialized: str | bytes | None) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(serialized) if isinstance(serialized, bytes) else status_pb2.Status()
    except DecodeError:
        return status_pb2.Status()


def _milliseconds(value: str | bytes | None) -> int | None:
    try:
        return None if value is None else int(value)
    except ValueError:
        return -1  # gRPC's rule: a pushback that is no number forbids the retry
