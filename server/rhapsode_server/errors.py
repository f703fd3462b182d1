"""The server's errors, one class per meaning; rpc/status.py alone turns them into gRPC statuses.

RhapsodeError
├── RequestError     the request must change before it is sent again
│   ├── InvalidField: UnknownToken, OutputTooLarge, UnreadablePayload
│   └── MalformedRequest, UnknownMethod, ModelNotFound, ModelInUse, LoadFailed, RepositoryFull, Unsupported…
├── AccessError      other credentials are needed: Unauthenticated, PermissionDenied
├── QuotaError       the client has had its share: ClientConcurrency, QuotaExceeded
├── Refusal          the same request may succeed later
│   ├── QueueFull, DeadlineTooShort, DeadlineExpired, ClientTooSlow, TooManyWatches, ModelLoading, ShuttingDown
│   ├── TensorsUntried, StreamTooOld
│   └── DeviceLost, ModelUnhealthy: DriverDied
├── ModelFailure     the model could not do it: NonFiniteOutput, TensorsRefused, RunFailed: OutOfMemory
└── StartupError     the server cannot start: ConfigError, BundleError, ProviderError
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

_NOTHING: Mapping[str, str] = MappingProxyType({})


class RhapsodeError(Exception):
    """Base of all. `reason` names the class for machines, `metadata` holds every number of the message."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, metadata: Mapping[str, str] = _NOTHING) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata


class RequestError(RhapsodeError):
    """The request must change before it is sent again."""


class InvalidField(RequestError):
    """A field is out of its bounds, or contradicts another. `field` is its path from the request message down."""

    reason = "INVALID_FIELD"

    def __init__(self, field: str, rule: str, metadata: Mapping[str, str] = _NOTHING) -> None:
        super().__init__(f"{field} {rule}", {"field": field, **metadata})
        self.field = field
        self.rule = rule


class UnknownToken(InvalidField):
    """A prompt has a character or an id that the vocabulary lacks, at `index`; `what` is it, in words."""

    reason = "UNKNOWN_TOKEN"

    def __init__(self, field: str, index: int, what: str = "") -> None:
        super().__init__(field, f"has no token for {what or 'the element'} at index {index}", {"index": str(index)})
        self.index = index


class OutputTooLarge(InvalidField):
    """The reply would not fit one message."""

    reason = "OUTPUT_TOO_LARGE"


class TensorsRefused(RequestError):
    """A graph cannot be run on the tensors that it was given."""

    reason = "TENSORS_REFUSED"


class UnreadablePayload(InvalidField):
    """A compressed picture is damaged, or of another model or format."""

    reason = "UNREADABLE_PAYLOAD"


class MalformedRequest(RequestError):
    """The bytes are not a message of the expected type."""

    reason = "MALFORMED_REQUEST"


class UnknownMethod(RequestError):
    """No method of that name, as somebody is told who may know."""

    reason = "UNKNOWN_METHOD"


class ModelNotFound(RequestError):
    """No model of that name and version."""

    reason = "MODEL_NOT_FOUND"


class ModelInUse(RequestError):
    """An alias names the version that is to go."""

    reason = "MODEL_IN_USE"


class LoadFailed(RequestError):
    """A bundle cannot be served as it is; the message says why."""

    reason = "LOAD_FAILED"


class RepositoryFull(RequestError):
    """More models, or bytes of them, than may be in memory."""

    reason = "REPOSITORY_FULL"


class ControlElsewhere(RequestError):
    """Models are loaded and let go at another address."""

    reason = "CONTROL_ELSEWHERE"


class Unsupported(RequestError):
    """The model lacks what the request needs."""

    reason = "UNSUPPORTED"


class AccessError(RhapsodeError):
    """Other credentials are needed."""


class Unauthenticated(AccessError):
    """No credential, or none that is valid."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(AccessError):
    """The credential does not allow the method."""

    reason = "PERMISSION_DENIED"


class QuotaError(RhapsodeError):
    """The client has had its share; others have not. `seconds` is when it may ask again."""

    def __init__(self, message: str, seconds: float, metadata: Mapping[str, str] = _NOTHING) -> None:
        super().__init__(message, metadata)
        self.seconds = seconds


class ClientConcurrency(QuotaError):
    """The client has as many requests under way as it may."""

    reason = "CLIENT_CONCURRENCY"


class QuotaExceeded(QuotaError):
    """The client has sent more requests than it may in this time."""

    reason = "QUOTA_EXCEEDED"


class Refusal(RhapsodeError):
    """The same request may succeed later: in `seconds`, or as its status says."""

    def __init__(self, message: str, metadata: Mapping[str, str] = _NOTHING, seconds: float | None = None) -> None:
        super().__init__(message, metadata)
        self.seconds = seconds


class QueueFull(Refusal):
    """The model has as much accepted work as it may hold."""

    reason = "QUEUE_FULL"


class DeadlineTooShort(Refusal):
    """The model cannot be done with it by the deadline."""

    reason = "DEADLINE_TOO_SHORT"


class ClientTooSlow(Refusal):
    """The client left what it had asked for untaken."""

    reason = "CLIENT_TOO_SLOW"


class TooManyWatches(Refusal):
    """As many watchers of health are there as may be."""

    reason = "TOO_MANY_WATCHES"


class DeviceLost(Refusal):
    """The device that the model runs on is gone."""

    reason = "DEVICE_LOST"


class TensorsUntried(Refusal):
    """A run failed for tensors of others, and there was not the time to find out for whose."""

    reason = "TENSORS_UNTRIED"


class ModelUnhealthy(Refusal):
    """The model has failed again and again."""

    reason = "MODEL_UNHEALTHY"


class DriverDied(ModelUnhealthy):
    """What runs the model has ended by a fault of ours, its cause: nothing but a new process can run it."""


class ModelLoading(Refusal):
    """The model will be there when it is loaded: it is being so, or is what an alias is meant to name."""

    reason = "MODEL_LOADING"


class ShuttingDown(Refusal):
    """The server is about to stop."""

    reason = "SHUTTING_DOWN"


class StreamTooOld(Refusal):
    """A stream of many requests ends before its connection does; what is left belongs on another."""

    reason = "STREAM_TOO_OLD"


class DeadlineExpired(Refusal):
    """The deadline passed before the work was done."""

    reason = "DEADLINE_EXPIRED"


class ModelFailure(RhapsodeError):
    """The model could not do it."""


class NonFiniteOutput(ModelFailure):
    """The model gave NaN or infinity."""

    reason = "NON_FINITE_OUTPUT"


class RunFailed(ModelFailure):
    """ONNX Runtime failed."""

    reason = "RUN_FAILED"


class OutOfMemory(RunFailed):
    """There is not the memory for the run."""

    reason = "OUT_OF_MEMORY"


class StartupError(RhapsodeError):
    """The server cannot start."""


class ConfigError(StartupError):
    """An option is wrong."""

    reason = "CONFIG_ERROR"


class BundleError(StartupError):
    """A bundle is broken, or lies about itself."""

    reason = "BUNDLE_ERROR"


class LoadCrashed(BundleError):
    """It ends the process that loads it."""


class LoadTooLong(BundleError):
    """To load it takes longer than it may."""


class LoadChanged(BundleError):
    """It was changed while it was loaded."""


class ProviderError(StartupError):
    """The execution provider that was asked for cannot be had."""

    reason = "PROVIDER_ERROR"
