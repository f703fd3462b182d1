"""The client's errors, one class per meaning under one base.

RhapsodeError
├── InvalidRequest         a field is wrong; change the request
│   ├── UnknownToken       a prompt has a character or an id that the model has no token for
│   ├── OutputTooLarge     the reply would not fit one message; stream it
│   └── UnreadablePayload  a compressed picture is damaged, or of another model or format
├── MalformedRequest       the server could not read the request at all
├── ModelNotFound          the server serves no model of that name and version
├── Unsupported            the model, or the server, lacks what was asked for
│   └── UnknownMethod      the server that was reached has no such method
├── LoadFailed             the server cannot serve a bundle as it is, and says why
├── ModelInUse             an alias names the version that is to go
├── RepositoryFull         the server would have more in memory than it may
├── AccessDenied           the server wants other credentials
│   ├── NotAuthenticated   it knows none, or none that is valid
│   └── PermissionDenied   those that it knows do not allow this
├── Unavailable            the same request may succeed later
│   ├── QueueFull          the model has as much work as it may hold
│   ├── ModelLoading       the model is being loaded
│   ├── ServerStopping     the server is about to stop
│   └── ConnectionLost     no server was reached, or the connection broke
├── LimitExceeded          a quota, or the size that a message may have
│   └── QuotaExceeded      this client has had its share for now
├── DeadlineExceeded       the time given was not enough
├── Cancelled              the call was cancelled
├── ServerFailure          the server or its model failed
│   └── NonFiniteOutput    the model gave NaN or infinity
├── ResumeMismatch         a broken stream cannot be continued exactly
├── UnexpectedReply        the reply contradicts the wire's contract
├── UnreadableTune         what should be a tune in ABC is none
└── MissingExtra           a part of this package that is not installed is needed
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What was wrong with one field: its path from the request message down, and the rule that it broke."""

    field: str
    description: str


class RhapsodeError(Exception):
    """Base of all errors of this package.

    Attributes:
        message: what was wrong, in one sentence.
        code: the name of the gRPC status ("INVALID_ARGUMENT"); empty where the error arose in this process.
        reason: the server's name of the cause for machines ("QUEUE_FULL"); empty where it gave none.
        field_violations: the fields that are wrong; empty where no field is.
        retry_delay: seconds to wait before the same request is sent again; None where the server named none.
        request_id: the id under which the server logged the request; empty where none was sent.
        retryable: whether the same request, sent again, may succeed.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        field_violations: tuple[FieldViolation, ...] = (),
        retry_delay: float | None = None,
        request_id: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.field_violations = field_violations
        self.retry_delay = retry_delay
        self.request_id = request_id
        self.retryable = retryable


class InvalidRequest(RhapsodeError):
    """A field is wrong: `field_violations` names it. The request must change."""


class UnknownToken(InvalidRequest):
    """A prompt has a character or an id that the model has no token for."""


class OutputTooLarge(InvalidRequest):
    """The reply would not fit one message: ask for less, or use the streaming method."""


class UnreadablePayload(InvalidRequest):
    """A compressed picture is damaged, or of another model or format."""


class MalformedRequest(RhapsodeError):
    """The server could not read the request at all."""


class ModelNotFound(RhapsodeError):
    """The server serves no model of that name and version."""


class Unsupported(RhapsodeError):
    """The model lacks what was asked for, or the server does not know the method."""


class UnknownMethod(Unsupported):
    """The server has no such method: it is older, or the address is its other one (models and administration have one
    each).
    """


class LoadFailed(RhapsodeError):
    """The bundle cannot be served as it is; the message says why. What was served before is served on."""


class ModelInUse(RhapsodeError):
    """An alias names the version that is to be unloaded: move the alias first."""


class RepositoryFull(RhapsodeError):
    """The server would have more models, or bytes of them, in memory than it may: unload others first."""


class AccessDenied(RhapsodeError):
    """The server wants credentials, or other ones."""


class NotAuthenticated(AccessDenied):
    """The server knows no credential of ours, or none that is valid (any more)."""


class PermissionDenied(AccessDenied):
    """The credential is valid, but does not allow the method."""


class Unavailable(RhapsodeError):
    """The server cannot take the request now; the same request may succeed later."""


class QueueFull(Unavailable):
    """The model has as much accepted work as it may hold."""


class ModelLoading(Unavailable):
    """The model is being loaded, and was not served before."""


class ServerStopping(Unavailable):
    """The server is about to stop."""


class ConnectionLost(Unavailable):
    """No server was reached, or the connection broke before the reply was whole."""


class LimitExceeded(RhapsodeError):
    """A quota is used up, or a message is larger than it may be."""


class QuotaExceeded(LimitExceeded):
    """The client has as many requests under way as it may, or has sent too many in this time; others have not."""


class DeadlineExceeded(RhapsodeError):
    """The time that was given was not enough."""


class Cancelled(RhapsodeError):
    """The call was cancelled."""


class ServerFailure(RhapsodeError):
    """The server or its model failed; trying again more than once is of no use."""


class NonFiniteOutput(ServerFailure):
    """The model gave NaN or infinity."""


class ResumeMismatch(RhapsodeError):
    """A stream broke, and the server that answered then cannot promise the same bytes, so it was not continued."""


class UnexpectedReply(RhapsodeError):
    """The reply contradicts the contract of the wire: the server is broken, or newer than this client."""


class UnreadableTune(RhapsodeError):
    """What should be a tune in ABC cannot be read as one."""


class MissingExtra(RhapsodeError):
    """What was asked for needs a library that only an extra of this package brings."""
