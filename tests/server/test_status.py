"""Every error becomes a status of the documented code, with details, and tells nothing of the inside."""

from collections.abc import Iterator

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from rhapsode_server import errors
from rhapsode_server.rpc.status import LONGEST_MESSAGE, MASKED, code_of, mask, status_of

CODES = {
    errors.InvalidField: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownToken: grpc.StatusCode.INVALID_ARGUMENT,
    errors.OutputTooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnreadablePayload: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TensorsRefused: grpc.StatusCode.INVALID_ARGUMENT,
    errors.MalformedRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ModelNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ModelInUse: grpc.StatusCode.FAILED_PRECONDITION,
    errors.LoadFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RepositoryFull: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ControlElsewhere: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ModelLoading: grpc.StatusCode.UNAVAILABLE,
    errors.UnknownMethod: grpc.StatusCode.UNIMPLEMENTED,
    errors.Unsupported: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.ClientConcurrency: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QuotaExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineTooShort: grpc.StatusCode.UNAVAILABLE,
    errors.ClientTooSlow: grpc.StatusCode.UNAVAILABLE,
    errors.TensorsUntried: grpc.StatusCode.UNAVAILABLE,
    errors.TooManyWatches: grpc.StatusCode.UNAVAILABLE,
    errors.DeviceLost: grpc.StatusCode.UNAVAILABLE,
    errors.ModelUnhealthy: grpc.StatusCode.UNAVAILABLE,
    errors.OutOfMemory: grpc.StatusCode.INTERNAL,
    errors.QueueFull: grpc.StatusCode.UNAVAILABLE,
    errors.ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    errors.StreamTooOld: grpc.StatusCode.ABORTED,
    errors.DeadlineExpired: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.NonFiniteOutput: grpc.StatusCode.INTERNAL,
    errors.RunFailed: grpc.StatusCode.INTERNAL,
}


def leaves(kind: type[errors.RhapsodeError]) -> Iterator[type[errors.RhapsodeError]]:
    if "reason" in vars(kind):
        yield kind
    for child in kind.__subclasses__():
        yield from leaves(child)


def example(kind: type[errors.RhapsodeError]) -> errors.RhapsodeError:
    if kind is errors.UnknownToken:
        return errors.UnknownToken("generation.text", 3)
    if issubclass(kind, errors.QuotaError):
        return kind("too many", 2.5)
    if issubclass(kind, errors.InvalidField):
        return kind("generation.count", "must be in [1, 4]", {"max": "4"})
    return kind("it went wrong")


def test_no_class_is_forgotten() -> None:
    startup = set(leaves(errors.StartupError)) | {errors.RhapsodeError}
    assert set(leaves(errors.RhapsodeError)) - startup == CODES.keys()


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_each_class_has_its_code_and_says_its_reason(kind: type[errors.RhapsodeError]) -> None:
    error = example(kind)
    status, trailing = status_of(error)
    info = ErrorInfo()
    assert code_of(error) is CODES[kind]
    assert status.code == CODES[kind].value[0]
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (kind.reason, "rhapsode.v1", dict(error.metadata))
    assert dict(trailing)["grpc-status-details-bin"] == status.SerializeToString()


def test_a_field_at_fault_is_named() -> None:
    status, _ = status_of(example(errors.InvalidField))
    bad = BadRequest()
    assert status.details[1].Unpack(bad)
    (violation,) = bad.field_violations
    assert (violation.field, violation.reason) == ("generation.count", "INVALID_FIELD")
    assert violation.description == "generation.count must be in [1, 4]"


@pytest.mark.parametrize(("kind", "delay"), [(errors.QueueFull, 300), (errors.ShuttingDown, 1000)])
def test_what_may_succeed_later_says_when(kind: type[errors.RhapsodeError], delay: int) -> None:
    status, trailing = status_of(example(kind))
    retry = RetryInfo()
    assert status.details[-1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == delay
    assert dict(trailing)["grpc-retry-pushback-ms"] == str(delay)


def test_a_refusal_may_say_when_by_itself() -> None:
    status, trailing = status_of(errors.QueueFull("it would have to wait", seconds=1.2345))
    retry = RetryInfo()
    assert status.details[-1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1234
    assert dict(trailing)["grpc-retry-pushback-ms"] == "1234"


@pytest.mark.parametrize("error", [ValueError("/etc/secret"), errors.BundleError("/srv/models/x"), KeyError("x")])
def test_what_is_not_the_callers_business_is_masked(error: Exception) -> None:
    assert mask(error) is MASKED
    assert code_of(mask(error)) is grpc.StatusCode.INTERNAL


def test_a_long_message_is_cut() -> None:
    status, trailing = status_of(errors.Unsupported("é" * 5000))
    assert len(status.message.encode()) <= LONGEST_MESSAGE
    assert len(dict(trailing)["grpc-status-details-bin"]) < 8192
