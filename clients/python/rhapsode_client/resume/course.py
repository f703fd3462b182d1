"""The course of one stream, from its first attempt to its end: what both clients decide alike, without any waiting."""

from collections import deque
from typing import Generic, TypeVar

from rhapsode_client.errors import Cancelled, ModelNotFound, ResumeMismatch, RhapsodeError, UnexpectedReply
from rhapsode_client.resume.plan import StreamPlan
from rhapsode_client.retry import Attempts

RequestT = TypeVar("RequestT")
MessageT = TypeVar("MessageT")
ItemT = TypeVar("ItemT")


class Course(Generic[RequestT, MessageT, ItemT]):
    """`ready` holds items for the reader; when it is empty and the course not `done`, another message is to be read."""

    def __init__(self, plan: StreamPlan[RequestT, MessageT, ItemT], attempts: Attempts) -> None:
        self._plan = plan
        self._attempts = attempts
        self.ready: deque[ItemT] = deque()
        self.done = False

    def next_call(self, now: float) -> tuple[RequestT, float | None]:
        """The request of the next attempt, and the seconds left for it (None: no deadline)."""
        return self._plan.next_request(), self._attempts.remaining(now)

    def take(self, message: MessageT | None) -> None:
        """Note a message; None is the end of an attempt with status OK. Raises ResumeMismatch or UnexpectedReply."""
        if message is not None:
            new = self._plan.receive(message)
            if new:
                self._attempts.progressed()
            self.ready.extend(new)
        elif self._plan.complete:
            self.done = True
        else:
            raise UnexpectedReply("the server ended the stream before everything had come")

    def delay_after(self, error: RhapsodeError, now: float) -> float:
        """Seconds to wait before the next attempt. Raises `error` where there is to be none, or ResumeMismatch where
        the version that the stream began on is gone.
        """
        # What broke after everything had come is of no concern to the reader.
        self.done = True
        if self._plan.complete and error.retryable:
            return 0.0
        origin = self._plan.origin
        if origin is not None and isinstance(error, ModelNotFound):
            raise ResumeMismatch(
                f"the stream broke, and {origin.model}@{origin.version}, which it began on, is not served any more",
                code=error.code,
                reason=error.reason,
                request_id=error.request_id,
            ) from error
        delay = self._attempts.delay_after(error, now, begun=self._plan.begun)
        self.done = False
        return delay

    def check_open(self) -> None:
        """Raise Cancelled where the stream has ended, so that nothing more can be read."""
        if self.done:
            raise Cancelled("the stream has been closed, or has failed before")

    def stop(self) -> None:
        """The reader wants no more."""
        self.done = True
        self.ready.clear()
