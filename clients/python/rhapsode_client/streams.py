"""Streams for synchronous code: items as they come, continued after a break, cancelled when closed."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, Self, TypeVar

from rhapsode.v1 import text_pb2
from rhapsode_client.calls import Call
from rhapsode_client.errors import RhapsodeError
from rhapsode_client.failures import failures
from rhapsode_client.metadata import RequestMetadata
from rhapsode_client.resume.course import Course
from rhapsode_client.resume.images import ImagesMessage, ImagesPlan, ImagesRequestT
from rhapsode_client.resume.plan import StreamPlan
from rhapsode_client.resume.text import TextPlan
from rhapsode_client.types import ImagesStarted, Picture, TextChunk, TextFinished, TextStarted

RequestT = TypeVar("RequestT")
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
MessageT = TypeVar("MessageT")
MessageT_co = TypeVar("MessageT_co", covariant=True)
ItemT = TypeVar("ItemT")


class Responses(Protocol[MessageT_co]):
    """The call of a streaming rpc, as grpc gives it."""

    def __next__(self) -> MessageT_co: ...
    def __iter__(self) -> Iterator[MessageT_co]: ...
    def cancel(self) -> object: ...


class StreamingMethod(Protocol[RequestT_contra, MessageT_co]):
    """A streaming rpc of a stub."""

    def __call__(
        self, request: RequestT_contra, timeout: float | None, metadata: RequestMetadata
    ) -> Responses[MessageT_co]: ...


class Stream(Generic[RequestT, MessageT, ItemT]):
    """An iterator over what a server sends. After UNAVAILABLE or a lost connection it goes on where it broke, within
    the call's deadline and as often as the retry policy allows. It raises RhapsodeError, and is at its end after that.
    `close`, or leaving its `with` block, cancels what is still to come.
    """

    def __init__(
        self,
        method: StreamingMethod[RequestT, MessageT],
        plan: StreamPlan[RequestT, MessageT, ItemT],
        call: Call,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._method = method
        self._call = call
        self._sleep = sleep
        self._course = Course(plan, call.attempts())
        self._responses: Responses[MessageT] | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ItemT:
        while not self._course.ready:
            if self._course.done:
                raise StopIteration
            self._advance()
        return self._course.ready.popleft()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what is still to come; the server stops working on it. Harmless at the end, and when repeated."""
        self._course.stop()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._responses is not None:
            self._responses.cancel()
            self._responses = None

    def _advance(self) -> None:
        """Read one message, or wait for the next attempt. Raises RhapsodeError where there is to be none."""
        self._course.check_open()
        try:
            self._course.take(self._read())
        except RhapsodeError as error:
            self._hang_up()
            self._sleep(self._course.delay_after(error, self._call.clock()))

    def _read(self) -> MessageT | None:
        with failures(self._call.request_id):
            if self._responses is None:
                request, timeout = self._course.next_call(self._call.clock())
                self._responses = self._method(request, timeout=timeout, metadata=self._call.metadata)
            return next(self._responses, None)


class TextStream(Stream[text_pb2.StreamTextRequest, text_pb2.StreamTextResponse, TextChunk]):
    """Text as it comes. Iterate for chunks; `finished` fills as candidates end."""

    def __init__(
        self,
        method: StreamingMethod[text_pb2.StreamTextRequest, text_pb2.StreamTextResponse],
        plan: TextPlan,
        call: Call,
    ) -> None:
        super().__init__(method, plan, call)
        self._plan = plan

    @property
    def started(self) -> TextStarted:
        """The seed and model in use; waits for the first message. Raises RhapsodeError."""
        while self._plan.started is None:
            self._advance()
        return self._plan.started

    @property
    def finished(self) -> tuple[TextFinished, ...]:
        """The candidates that have ended so far, in order."""
        return self._plan.ends()


class ImageStream(Stream[Any, ImagesMessage, Picture]):
    """Pictures as they come, in order."""

    def __init__(
        self, method: StreamingMethod[ImagesRequestT, ImagesMessage], plan: ImagesPlan[ImagesRequestT], call: Call
    ) -> None:
        super().__init__(method, plan, call)
        self._plan = plan

    @property
    def started(self) -> ImagesStarted:
        """The seed and model in use, and the count to come; waits for the first message. Raises RhapsodeError."""
        while self._plan.started is None:
            self._advance()
        return self._plan.started
