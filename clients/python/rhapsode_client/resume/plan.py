"""The plan of a stream, as the clients drive it: which request comes next, and what a message delivers."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from rhapsode_client.errors import ResumeMismatch

RequestT_co = TypeVar("RequestT_co", covariant=True)
MessageT_contra = TypeVar("MessageT_contra", contravariant=True)
ItemT_co = TypeVar("ItemT_co", covariant=True)


class StreamPlan(Protocol[RequestT_co, MessageT_contra, ItemT_co]):
    """A theory of operation: `next_request` is sent, then every message goes through `receive`, which gives what is
    new in it. After a break the two start over: the next request asks for the rest, or for everything once more where
    the wire cannot ask for the rest; what was delivered already is then left out.
    """

    @property
    def begun(self) -> bool:
        """Whether a server has said what it started, of this stream or of one that it goes on with."""
        ...

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for has been delivered."""
        ...

    def next_request(self) -> RequestT_co:
        """The request of the next attempt."""
        ...

    def receive(self, message: MessageT_contra) -> Sequence[ItemT_co]:
        """What `message` delivers. Raises ResumeMismatch or UnexpectedReply."""
        ...


class Origin(Protocol):
    """Which server's model made a stream."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


def check_same_origin(first: Origin, now: Origin, delivered: str) -> None:
    """Raise ResumeMismatch unless the attempt that answers now promises the bytes of the first one."""
    if (first.model, first.version, first.fingerprint) != (now.model, now.version, now.fingerprint):
        raise ResumeMismatch(
            f"the stream broke after {delivered}, and the model that answered then has another fingerprint, "
            "so that an exact continuation cannot be promised"
        )
