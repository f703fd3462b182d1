"""Sends the fuzzer's requests as bytes, and keeps what came of each."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from benchmarks.fuzz.cases import Case
from benchmarks.fuzz.server_log import PREFIX
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

MESSAGES = 4  # of a stream that are read before it is cancelled
REQUEST_ID = "x-request-id"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request. `details` are the bytes of a google.rpc.Status, empty where there were none."""

    code: grpc.StatusCode
    message: str
    details: bytes
    pushback: str
    replies: Sequence[bytes]


async def send(channel: "grpc.aio.Channel", case: Case, most: int = MESSAGES) -> Outcome:
    """Send it, and read at most so many messages of a stream, then cancel it."""
    replies: list[bytes] = []
    metadata = (*case.metadata, (REQUEST_ID, f"{PREFIX}{case.number}"))  # of two ids the first one counts
    call = _call(channel, case, metadata)
    try:
        if case.method.answers_many:
            wanted = 1 if case.method.name == "Watch" else most  # a watch says no more unless something happens
            while len(replies) < wanted and (reply := await call.read()) is not grpc.aio.EOF:
                replies.append(reply)
        else:
            replies.append(await call)
    except grpc.aio.AioRpcError as error:
        return _refused(error, replies)
    finally:
        call.cancel()
    return Outcome(grpc.StatusCode.OK, "", b"", "", replies)


def _call(channel: "grpc.aio.Channel", case: Case, metadata: tuple[tuple[str, str | bytes], ...]) -> Any:  # noqa: ANN401  # grpc's calls have no common type
    method, (first, *_) = case.method, case.messages
    if method.asks_many:
        many: Any = channel.stream_stream(method.path)
        return many(_each(case.messages), timeout=case.timeout, metadata=metadata)
    one: Any = (channel.unary_stream if method.answers_many else channel.unary_unary)(method.path)
    return one(first, timeout=case.timeout, metadata=metadata)


async def _each(messages: Sequence[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


def _refused(error: grpc.aio.AioRpcError, replies: Sequence[bytes]) -> Outcome:
    trailing = dict(error.trailing_metadata() or ())
    details, pushback = trailing.get("grpc-status-details-bin", b""), trailing.get("grpc-retry-pushback-ms", "")
    return Outcome(error.code(), error.details() or "", bytes(details), str(pushback), replies)


def reason_of(outcome: Outcome) -> str:
    """The reason of a refusal of ours; none for any other status."""
    for detail in Status.FromString(outcome.details).details:
        info = ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def short(outcome: Outcome) -> str:
    """What gRPC says where it refused by itself."""
    return f"({outcome.message[:40]})" if outcome.message else ""
