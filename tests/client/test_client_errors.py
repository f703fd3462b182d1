"""Statuses become errors of one tree, with everything that the server said."""

import inspect

import grpc
import pytest

from client.details import trailing
from rhapsode_client import errors
from rhapsode_client.retry import Attempts, RetryPolicy
from rhapsode_client.status import error_of


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", errors.InvalidRequest),
        (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_TOKEN", errors.UnknownToken),
        (grpc.StatusCode.INVALID_ARGUMENT, "OUTPUT_TOO_LARGE", errors.OutputTooLarge),
        (grpc.StatusCode.INVALID_ARGUMENT, "UNREADABLE_PAYLOAD", errors.UnreadablePayload),
        (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", errors.MalformedRequest),
        (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", errors.ModelNotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, "UNSUPPORTED", errors.Unsupported),
        (grpc.StatusCode.FAILED_PRECONDITION, "LOAD_FAILED", errors.LoadFailed),
        (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_IN_USE", errors.ModelInUse),
        (grpc.StatusCode.FAILED_PRECONDITION, "REPOSITORY_FULL", errors.RepositoryFull),
        (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD", errors.UnknownMethod),
        (grpc.StatusCode.UNAVAILABLE, "QUEUE_FULL", errors.QueueFull),
        (grpc.StatusCode.UNAVAILABLE, "MODEL_LOADING", errors.ModelLoading),
        (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", errors.ServerStopping),
        (grpc.StatusCode.UNAVAILABLE, "SOMETHING_NEW", errors.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXPIRED", errors.DeadlineExceeded),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "SHUTTING_DOWN", errors.DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", errors.LimitExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "CLIENT_CONCURRENCY", errors.QuotaExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", errors.QuotaExceeded),
        (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", errors.NotAuthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", errors.PermissionDenied),
        (grpc.StatusCode.INTERNAL, "NON_FINITE_OUTPUT", errors.NonFiniteOutput),
        (grpc.StatusCode.INTERNAL, "RUN_FAILED", errors.ServerFailure),
        (grpc.StatusCode.DATA_LOSS, "", errors.ServerFailure),
    ],
)
def test_each_meaning_has_its_class(code: grpc.StatusCode, reason: str, kind: type[errors.RhapsodeError]) -> None:
    error = error_of(code, "what", trailing(reason), "id")
    assert type(error) is kind
    assert (error.code, error.reason, error.request_id, str(error)) == (code.name, reason, "id", "what")
    assert error.retryable == isinstance(error, errors.Unavailable | errors.QuotaExceeded)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect", errors.ConnectionLost),
        (grpc.StatusCode.UNKNOWN, "Stream removed", errors.ConnectionLost),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 2", errors.ConnectionLost),
        (grpc.StatusCode.CANCELLED, "RST_STREAM", errors.ConnectionLost),
        (grpc.StatusCode.CANCELLED, "Channel closed!", errors.Cancelled),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Stream removed (Deadline Exceeded)", errors.DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, "oh", errors.ServerFailure),
        (grpc.StatusCode.UNAUTHENTICATED, "", errors.NotAuthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, "", errors.PermissionDenied),
    ],
)
def test_what_no_program_said_comes_from_the_way(
    code: grpc.StatusCode, message: str, kind: type[errors.RhapsodeError]
) -> None:
    assert type(error_of(code, message, (), "")) is kind


def test_details_are_kept() -> None:
    metadata = trailing("INVALID_FIELD", field="generation.count", delay=0.25)
    error = error_of(grpc.StatusCode.INVALID_ARGUMENT, "m", metadata, "")
    assert error.field_violations == (errors.FieldViolation("generation.count", "is bad"),)
    assert error.retry_delay == 0.25


@pytest.mark.parametrize(
    ("pushback", "delay", "retryable"), [("300", 0.3, True), ("-1", None, False), ("x", None, False)]
)
def test_pushback(pushback: str, delay: float | None, retryable: bool) -> None:
    error = error_of(grpc.StatusCode.UNAVAILABLE, "m", [("grpc-retry-pushback-ms", pushback)], "")
    assert (error.retry_delay, error.retryable) == (delay, retryable)


def test_details_that_cannot_be_read_are_left_out() -> None:
    error = error_of(grpc.StatusCode.NOT_FOUND, "m", [("grpc-status-details-bin", b"\xff\xff")], "")
    assert (type(error), error.reason) == (errors.ModelNotFound, "")


def test_every_error_stands_in_the_tree_and_is_drawn() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert all(issubclass(kind, errors.RhapsodeError) for kind in kinds)
    assert all(f" {kind.__name__} " in (errors.__doc__ or "").replace("\n", " ") for kind in kinds)


def unavailable(delay: float | None = None, *, retryable: bool = True) -> errors.Unavailable:
    return errors.Unavailable("m", retry_delay=delay, retryable=retryable)


def test_backoff_grows_to_its_bound() -> None:
    policy = RetryPolicy(initial_backoff=0.1, max_backoff=0.5, multiplier=2.0)
    assert [policy.backoff(failures) for failures in (1, 2, 3, 4)] == pytest.approx([0.1, 0.2, 0.4, 0.5])


ONCE_AGAIN = RetryPolicy(attempts=2)


def test_attempts_wait_as_the_server_or_the_policy_says() -> None:
    attempts = Attempts(RetryPolicy(attempts=9), ONCE_AGAIN, deadline=None, jitter=lambda: 0.5)
    assert attempts.delay_after(unavailable(), now=0.0, begun=False) == pytest.approx(0.1)
    assert attempts.delay_after(unavailable(3.0), now=0.0, begun=False) == 3.0
    assert attempts.delay_after(unavailable(), now=0.0, begun=False) == pytest.approx(0.4)
    assert attempts.remaining(now=5.0) is None


@pytest.mark.parametrize(
    ("error", "failures", "begun"),
    [
        (unavailable(6.0), 1, True),  # past the deadline
        (unavailable(retryable=False), 1, True),
        (unavailable(), 2, False),
        (unavailable(), 3, True),
    ],
)
def test_attempts_end(error: errors.Unavailable, failures: int, begun: bool) -> None:
    attempts = Attempts(ONCE_AGAIN, RetryPolicy(attempts=3), deadline=10.0, jitter=lambda: 0.5)
    assert (attempts.remaining(now=4.0), attempts.remaining(now=11.0)) == (6.0, 0.0)
    for _ in range(failures - 1):
        attempts.delay_after(unavailable(), now=4.0, begun=begun)
    with pytest.raises(errors.Unavailable):
        attempts.delay_after(error, now=4.0, begun=begun)


def failing(attempts: Attempts, error: errors.Unavailable) -> float:
    return attempts.delay_after(error, now=0.0, begun=True)


def test_progress_begins_the_count_and_the_waits_anew() -> None:
    policy = RetryPolicy(attempts=3, initial_backoff=0.1)
    attempts = Attempts(ONCE_AGAIN, policy, deadline=None, jitter=lambda: 0.5)
    waits = []
    for _ in range(policy.renewals + 1):
        attempts.progressed()
        waits += [failing(attempts, unavailable()), failing(attempts, unavailable())]
    assert waits == pytest.approx([0.1, 0.2] * (policy.renewals + 1))


def test_progress_begins_anew_only_so_often() -> None:
    attempts = Attempts(ONCE_AGAIN, RetryPolicy(attempts=2, renewals=3), deadline=None, jitter=lambda: 0.5)
    for _ in range(4):
        attempts.progressed()
        failing(attempts, unavailable())
    attempts.progressed()
    with pytest.raises(errors.Unavailable):
        failing(attempts, unavailable())


def test_progress_moves_no_deadline() -> None:
    attempts = Attempts(ONCE_AGAIN, RetryPolicy(), deadline=10.0, jitter=lambda: 0.5)
    attempts.progressed()
    with pytest.raises(errors.Unavailable):
        attempts.delay_after(unavailable(), now=9.95, begun=True)
