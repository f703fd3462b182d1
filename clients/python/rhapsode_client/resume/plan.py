"""The plan of a stream, as the clients drive it: which request comes next, and what a message delivers."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rhapsode_client.errors import ResumeMismatch

RequestT_co = TypeVar("RequestT_co", covariant=True)
MessageT_contra = TypeVar("MessageT_contra", contravariant=True)
ItemT_co = TypeVar("ItemT_co", covariant=True)


class Origin(Protocol):
    """Which server's model made a stream."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


class StreamPlan(Protocol[RequestT_co, MessageT_contra, ItemT_co]):
    """A theory of operation: `next_request` is sent, then every message goes through `receive`, which gives what is
    new in it. After a break the two start over: the next request asks for the rest, or for everything once more where
    the wire cannot ask for the rest; what was delivered already is then left out. What goes on with something that was
    delivered asks for the version that made it, wherever a bare name or an alias leads by now.
    """

    @property
    def begun(self) -> bool:
        """Whether a server has said what it started, of this stream or of one that it goes on with."""
        ...

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for has been delivered."""
        ...

    @property
    def origin(self) -> Origin | None:
        """What made that which has been delivered; None while nothing has."""
        ...

    def next_request(self) -> RequestT_co:
        """The request of the next attempt."""
        ...

    def receive(self, message: MessageT_contra) -> Sequence[ItemT_co]:
        """What `message` delivers. Raises ResumeMismatch or UnexpectedReply."""
        ...


def reference(asked: str, origin: Origin | None) -> str:
    """The model that the next attempt asks for: what the caller asked for, until something has been delivered."""
    return asked if origin is None or not origin.model else f"{origin.model}@{origin.version}"


def check_same_origin(first: Origin, now: Origin, delivered: str) -> None:
    """Raise ResumeMismatch unless the attempt that answers now promises the bytes of the first one."""
    if (first.model, first.version, first.fingerprint) != (now.model, now.version, now.fingerprint):
        raise ResumeMismatch(
            f"the stream broke after {delivered}, and the model that answered then has another fingerprint, "
            "so that an exact continuation cannot be promised"
        )
