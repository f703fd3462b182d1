"""What goes with every call beside its request: an id, a deadline and the rules for another attempt."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from rhapsode_client.metadata import MoreMetadata, RequestMetadata, checked, no_more
from rhapsode_client.retry import Attempts, RetryPolicy

LONGEST = 10 * 365 * 86_400.0  # seconds; gRPC's clock wraps around beyond some hundreds of years


@dataclass(frozen=True, slots=True)
class Call:
    """One call as its caller means it, all attempts included; `timeout` in seconds, None for no deadline."""

    timeout: float | None
    retry: RetryPolicy
    resume: RetryPolicy
    request_id: str
    more: MoreMetadata = no_more
    """What the caller adds to the metadata; asked anew by each attempt."""
    clock: Callable[[], float] = time.monotonic

    @property
    def metadata(self) -> RequestMetadata:
        """The request's metadata: the id under which the server logs it, and what the caller adds.

        Raises InvalidRequest for what gRPC cannot send.
        """
        return (("x-request-id", self.request_id), *checked(self.more()))

    def attempts(self) -> Attempts:
        """A fresh count of attempts, whose deadline runs from now on."""
        deadline = None if self.timeout is None else self.clock() + self.timeout
        return Attempts(self.retry, self.resume, deadline, random.SystemRandom().random)


def new_call(timeout: float | None, retry: RetryPolicy, resume: RetryPolicy, more: MoreMetadata = no_more) -> Call:
    """A call with an id of its own. A timeout that nobody lives to see, such as infinity, is none."""
    return Call(None if timeout is not None and timeout > LONGEST else timeout, retry, resume, uuid.uuid4().hex, more)
