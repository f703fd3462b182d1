"""What a server says in a status beside its code and message."""

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


def trailing(reason: str, *, field: str = "", delay: float | None = None) -> list[tuple[str, str | bytes]]:
    """Trailing metadata with the details of an error of rhapsode.v1."""
    status = Status()
    details: list[ErrorInfo | BadRequest | RetryInfo] = [ErrorInfo(reason=reason)]
    if field:
        details.append(BadRequest(field_violations=[BadRequest.FieldViolation(field=field, description="is bad")]))
    if delay is not None:
        details.append(RetryInfo(retry_delay=Duration(nanos=int(delay * 1e9))))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return [("grpc-status-details-bin", status.SerializeToString())]
