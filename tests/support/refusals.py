"""What a refused caller can read from the status."""

from dataclasses import dataclass
from typing import cast

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status


@dataclass(frozen=True)
class Refusal:
    """The details of a status."""

    info: ErrorInfo
    fields: list[str]
    retry: RetryInfo | None


def refusal(error: grpc.RpcError) -> Refusal:
    """Read the details; a status of ours always says its reason."""
    status = _status(cast("grpc.Call", error))  # it has what a call has
    if status is None:
        raise AssertionError(f"a status without details: {error}")
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    kinds = [
        detail.Unpack(info) or detail.Unpack(bad) or (detail.Unpack(retry) and "retry") for detail in status.details
    ]
    fields = [violation.field for violation in bad.field_violations]
    return Refusal(info, fields, retry if "retry" in kinds else None)


def _status(call: grpc.Call) -> Status | None:
    """What the server said; code and message of the call are its own clock's where that ran out at the same time."""
    if call.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
        return cast("Status | None", rpc_status.from_call(call))
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return Status.FromString(value)
    return None
