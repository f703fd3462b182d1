"""What a server may answer to whatever it is sent: everything else is a finding."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

import grpc
import numpy as np
from benchmarks.fuzz.cases import TIMEOUT, Case
from benchmarks.fuzz.credentials import CLIENT_CONCURRENCY, QUOTA_EXCEEDED
from benchmarks.fuzz.credentials import REASONS as REASONS_OF_ACCESS
from benchmarks.fuzz.sending import Outcome, reason_of
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from rhapsode.v1.image_pb2 import IMAGE_FORMAT_RAW_FLOAT32, Image

_Code = grpc.StatusCode
DetailT = TypeVar("DetailT", bound=Message)
# The table of docs/operations.md, written again so that it is not the server that judges itself.
REASONS: Mapping[str, grpc.StatusCode] = MappingProxyType(
    {
        "INVALID_FIELD": _Code.INVALID_ARGUMENT,
        "UNKNOWN_TOKEN": _Code.INVALID_ARGUMENT,
        "OUTPUT_TOO_LARGE": _Code.INVALID_ARGUMENT,
        "UNREADABLE_PAYLOAD": _Code.INVALID_ARGUMENT,
        "MALFORMED_REQUEST": _Code.INVALID_ARGUMENT,
        "MODEL_NOT_FOUND": _Code.NOT_FOUND,
        "UNSUPPORTED": _Code.FAILED_PRECONDITION,
        "CONTROL_ELSEWHERE": _Code.FAILED_PRECONDITION,
        "QUEUE_FULL": _Code.UNAVAILABLE,
        "DEADLINE_TOO_SHORT": _Code.UNAVAILABLE,
        "CLIENT_TOO_SLOW": _Code.UNAVAILABLE,
        "DEADLINE_EXPIRED": _Code.DEADLINE_EXCEEDED,
        "NON_FINITE_OUTPUT": _Code.INTERNAL,
        "UNAUTHENTICATED": _Code.UNAUTHENTICATED,
        "PERMISSION_DENIED": _Code.PERMISSION_DENIED,
        "UNKNOWN_METHOD": _Code.UNIMPLEMENTED,
        "CLIENT_CONCURRENCY": _Code.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED": _Code.RESOURCE_EXHAUSTED,
    }
)
WITH_FIELD = frozenset({"INVALID_FIELD", "UNKNOWN_TOKEN", "OUTPUT_TOO_LARGE", "UNREADABLE_PAYLOAD"})
WITH_PUSHBACK = frozenset({"QUEUE_FULL", "DEADLINE_TOO_SHORT", "CLIENT_TOO_SLOW"})
WITH_RETRY = WITH_PUSHBACK | {CLIENT_CONCURRENCY, QUOTA_EXCEEDED}
# Of a candidate without a token, and of a token that the model forbids, the .proto file says negative infinity.
_MAY_BE_ENDLESS = frozenset({"rhapsode.v1.TextChoice.score", "rhapsode.v1.PositionLogprobs.logprob"})
LONGEST_MESSAGE, LONGEST_VALUE = 1024, 256
_ECHO = 24  # characters in a row of a request that a message may not have
_INSIDE = re.compile(
    r"Traceback|Unexpected|File \"|\.py\b|(?:^|[\s'\"(=])/\w+/\w|<class|0x[0-9a-f]{6,}|onnx", re.IGNORECASE
)


def problems(case: Case, outcome: Outcome) -> Iterator[str]:
    """What is wrong with what came of a request."""
    for reply in outcome.replies:
        yield from _reply_problems(case, reply)
    if outcome.code is not _Code.OK:
        yield from _message_problems(case, outcome.message)
        yield from _details_problems(outcome) if outcome.details else _bare_problems(case, outcome)
    yield from _access_problems(case, outcome)


def _access_problems(case: Case, outcome: Outcome) -> Iterator[str]:
    """What is wrong with how its credential was taken, or its want of one."""
    reason, path, shown = reason_of(outcome), case.method.path, case.credential
    if reason in REASONS_OF_ACCESS - (shown.may(path) if shown else frozenset()):
        yield f"{reason}, which this client must not be told"
    if reason == "UNKNOWN_METHOD" and case.kind != "path":
        yield "a method that there is was said to be none"
    if shown is None:
        return
    if not shown.served(path) and (outcome.replies or outcome.code is _Code.OK):
        yield "a reply to who must not have any"
    if (due := shown.due(path)) and reason not in ("", due):
        yield f"{reason} in place of {due}"


def _bare_problems(case: Case, outcome: Outcome) -> Iterator[str]:
    """A status without details is gRPC's own, not ours."""
    allowed = {
        _Code.UNIMPLEMENTED: case.kind == "path",
        _Code.DEADLINE_EXCEEDED: case.timeout < TIMEOUT,
        # Not said by the server: gRPC's client could not write to a stream that had ended meanwhile.
        _Code.INTERNAL: case.method.asks_many and outcome.message == "Internal error from Core",
        _Code.RESOURCE_EXHAUSTED: "larger than max" in outcome.message,
    }
    if not allowed.get(outcome.code, False):
        yield f"a status without details: {outcome.code.name} {outcome.message[:200]}"


def _message_problems(case: Case, message: str) -> Iterator[str]:
    if len(message.encode()) > LONGEST_MESSAGE or not message.isprintable():
        yield f"a message that is too long, or not one line: {message[:200]!r}"
    if _INSIDE.search(message):
        yield f"a message that tells of the inside: {message[:200]!r}"
    data = message.encode()
    shown = [value if isinstance(value, bytes) else value.encode() for _, value in case.metadata]
    if any(data[at : at + _ECHO] in sent for sent in (*case.messages, *shown) for at in range(len(data) - _ECHO + 1)):
        yield f"a message that says what it was sent: {message[:200]!r}"


def _details_problems(outcome: Outcome) -> Iterator[str]:
    status = Status.FromString(outcome.details)
    infos, retries = _unpacked(status, ErrorInfo), _unpacked(status, RetryInfo)
    fields = _unpacked(status, BadRequest)
    if len(infos) != 1 or len(infos) + len(fields) + len(retries) != len(status.details):
        yield f"details of other kinds, or not one ErrorInfo: {[each.type_url for each in status.details]}"
        return
    (info,) = infos
    reason = str(info.reason)
    if info.domain != "rhapsode.v1" or REASONS.get(reason) is not outcome.code:
        yield f"{outcome.code.name} for {reason} of {info.domain}: {outcome.message}"
    if (status.code, status.message) != (outcome.code.value[0], outcome.message):
        yield f"details that say another thing than the status: {status.code} {status.message[:200]}"
    if any(len(key) > 64 or len(value.encode()) > LONGEST_VALUE for key, value in info.metadata.items()):
        yield f"metadata that are too long: {sorted(info.metadata)}"
    if len(fields) != (reason in WITH_FIELD) or any(len(each.field_violations) != 1 for each in fields):
        yield f"{reason} with {len(fields)} BadRequest"
    if len(retries) != (reason in WITH_RETRY) or bool(outcome.pushback) != (reason in WITH_PUSHBACK):
        yield f"{reason} with {len(retries)} RetryInfo and a pushback of {outcome.pushback or None}"


def _unpacked(status: Status, kind: type[DetailT]) -> Sequence[DetailT]:
    name = f"/{kind.DESCRIPTOR.full_name}"
    return [kind.FromString(each.value) for each in status.details if each.type_url.endswith(name)]


def _reply_problems(case: Case, data: bytes) -> Iterator[str]:
    try:
        reply = case.method.reply.FromString(data)
    except DecodeError:
        yield "a reply that cannot be read"
        return
    if not _finite(reply):
        yield "a reply with numbers that are not finite"


def _finite(message: Message) -> bool:
    if isinstance(message, Image) and message.format == IMAGE_FORMAT_RAW_FLOAT32:
        return bool(np.isfinite(np.frombuffer(message.data, "<f4")).all())
    for field, value in message.ListFields():
        if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
            numbers = np.asarray(value)
            if not (np.isfinite(numbers) | (np.isneginf(numbers) & (field.full_name in _MAY_BE_ENDLESS))).all():
                return False
        elif field.message_type is not None:
            inner = value if field.is_repeated else (value,)
            if not all(_finite(each) for each in inner if isinstance(each, Message)):
                return False
    return True
