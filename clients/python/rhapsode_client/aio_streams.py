"""Streams for asyncio: items as they come, continued after a break, cancelled when closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, Protocol, Self, TypeVar

from rhapsode.v1 import text_pb2
from rhapsode_client.calls import Call
from rhapsode_client.errors import RhapsodeError
from rhapsode_client.failures import aio_failures
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


class AsyncResponses(Protocol[MessageT_co]):
    """The call of a streaming rpc, as grpc.aio gives it."""

    def __aiter__(self) -> AsyncIterator[MessageT_co]: ...
    def cancel(self) -> object: ...


class AsyncStreamingMethod(Protocol[RequestT_contra, MessageT_co]):
    """A streaming rpc of an asynchronous stub."""

    def __call__(
        self, request: RequestT_contra, *, timeout: float | None, metadata: RequestMetadata
    ) -> AsyncResponses[MessageT_co]: ...


class AsyncStream(Generic[RequestT, MessageT, ItemT]):
    """What `Stream` is, for asyncio: iterate with `async for`, close with `aclose` or `async with`."""

    def __init__(
        self,
        method: AsyncStreamingMethod[RequestT, MessageT],
        plan: StreamPlan[RequestT, MessageT, ItemT],
        call: Call,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._method = method
        self._call = call
        self._sleep = sleep
        self._course = Course(plan, call.attempts())
        self._responses: AsyncResponses[MessageT] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT:
        while not self._course.ready:
            if self._course.done:
                raise StopAsyncIteration
            await self._advance()
        return self._course.ready.popleft()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel what is still to come; the server stops working on it. Harmless at the end, and when repeated."""
        self._course.stop()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._responses is not None:
            self._responses.cancel()
            self._responses = None

    async def _advance(self) -> None:
        """Read one message, or wait for the next attempt. Raises RhapsodeError where there is to be none."""
        self._course.check_open()
        try:
            self._course.take(await self._read())
        except RhapsodeError as error:
            self._hang_up()
            await self._sleep(self._course.delay_after(error, self._call.clock()))

    async def _read(self) -> MessageT | None:
        with aio_failures(self._call.request_id):
            if self._responses is None:
                request, timeout = self._course.next_call(self._call.clock())
                self._responses = self._method(request, timeout=timeout, metadata=self._call.metadata)
            return await anext(aiter(self._responses), None)


class AsyncTextStream(AsyncStream[text_pb2.StreamTextRequest, text_pb2.StreamTextResponse, TextChunk]):
    """Text as it comes. Iterate for chunks; `finished` fills as candidates end."""

    def __init__(
        self,
        method: AsyncStreamingMethod[text_pb2.StreamTextRequest, text_pb2.StreamTextResponse],
        plan: TextPlan,
        call: Call,
    ) -> None:
        super().__init__(method, plan, call)
        self._plan = plan

    async def started(self) -> TextStarted:
        """The seed and model in use; waits for the first message. Raises RhapsodeError."""
        while self._plan.started is None:
            await self._advance()
        return self._plan.started

    @property
    def finished(self) -> tuple[TextFinished, ...]:
        """The candidates that have ended so far, in order."""
        return self._plan.ends()


class AsyncImageStream(AsyncStream[Any, ImagesMessage, Picture]):
    """Pictures as they come, in order."""

    def __init__(
        self, method: AsyncStreamingMethod[ImagesRequestT, ImagesMessage], plan: ImagesPlan[ImagesRequestT], call: Call
    ) -> None:
        super().__init__(method, plan, call)
        self._plan = plan

    async def started(self) -> ImagesStarted:
        """The seed and model in use, and the count to come; waits for the first message. Raises RhapsodeError."""
        while self._plan.started is None:
            await self._advance()
        return self._plan.started
