"""The one place where an error becomes a gRPC status.

The status carries google.rpc details: an ErrorInfo whose reason names the error for machines, a BadRequest where a
field is at fault, a RetryInfo where the same request may succeed later. Retries are asked of gRPC clients by
`grpc-retry-pushback-ms`, but not of those that have had their share. Nothing of a request and nothing of the inside of
the server stands in a message.
"""

from collections.abc import Iterator

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from rhapsode_server import errors

DOMAIN = "rhapsode.v1"
PUSHBACK = "grpc-retry-pushback-ms"
LONGEST_MESSAGE = 1024
MASKED = errors.RhapsodeError("the server failed; its log says more under this request's id")

_CODES: tuple[tuple[type[errors.RhapsodeError], grpc.StatusCode], ...] = (
    (errors.ModelNotFound, grpc.StatusCode.NOT_FOUND),
    (errors.UnknownMethod, grpc.StatusCode.UNIMPLEMENTED),
    (errors.ModelInUse, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.LoadFailed, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.RepositoryFull, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ControlElsewhere, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.Unsupported, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.RequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PermissionDenied, grpc.StatusCode.PERMISSION_DENIED),
    (errors.QuotaError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.DeadlineExpired, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.StreamTooOld, grpc.StatusCode.ABORTED),  # gRPC's word for: begin again, one level up
    (errors.Refusal, grpc.StatusCode.UNAVAILABLE),
)
_PUSHBACK_MS: tuple[tuple[type[errors.RhapsodeError], int], ...] = (
    (errors.QueueFull, 300),
    (errors.DeadlineTooShort, 300),
    (errors.ClientTooSlow, 100),
    (errors.TensorsUntried, 100),
    (errors.TooManyWatches, 1000),
    (errors.DeviceLost, 1000),
    (errors.ModelUnhealthy, 1000),
    (errors.ModelLoading, 1000),
    (errors.ShuttingDown, 1000),
)

StatusWithMetadata = tuple[Status, tuple[tuple[str, str | bytes], ...]]


def code_of(error: errors.RhapsodeError) -> grpc.StatusCode:
    """The code of an error; INTERNAL for what is not the caller's business."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def mask(error: Exception) -> errors.RhapsodeError:
    """The error as a stranger may see it: ours as it is, any other as a failure of the server."""
    told = (errors.RequestError, errors.AccessError, errors.QuotaError, errors.Refusal, errors.ModelFailure)
    return error if isinstance(error, told) else MASKED


def status_of(error: errors.RhapsodeError) -> StatusWithMetadata:
    """The google.rpc.Status of an error, and the trailing metadata that goes beside it."""
    message = error.message.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    pushback = _pushback(error)
    status = Status(code=code_of(error).value[0], message=message)
    for detail in _details(error, message, pushback):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailing: tuple[tuple[str, str | bytes], ...] = (("grpc-status-details-bin", status.SerializeToString()),)
    return status, trailing if pushback is None else (*trailing, (PUSHBACK, str(pushback)))


def _pushback(error: errors.RhapsodeError) -> int | None:
    """Milliseconds after which a client should send the same request again; None where it should not."""
    if isinstance(error, errors.Refusal) and error.seconds is not None:
        return round(error.seconds * 1000)
    return next((delay for kind, delay in _PUSHBACK_MS if isinstance(error, kind)), None)


def _details(error: errors.RhapsodeError, message: str, pushback: int | None) -> Iterator[Message]:
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    if isinstance(error, errors.InvalidField):
        violation = BadRequest.FieldViolation(field=error.field, description=message, reason=error.reason)
        yield BadRequest(field_violations=[violation])
    delay = round(error.seconds * 1000) if isinstance(error, errors.QuotaError) else pushback
    if delay is not None:
        yield RetryInfo(retry_delay=Duration(nanos=delay * 1_000_000 % 10**9, seconds=delay // 1000))
