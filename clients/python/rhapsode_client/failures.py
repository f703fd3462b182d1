"""Where grpc's exceptions, of either client, leave as errors of this package."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

import grpc
import grpc.aio

from rhapsode_client.errors import ConnectionLost
from rhapsode_client.handshake import explained
from rhapsode_client.status import error_of


@contextmanager
def failures(request_id: str) -> Iterator[None]:
    """Turn the failure of a call made inside into a RhapsodeError that bears `request_id`."""
    try:
        yield
    except grpc.RpcError as failure:
        # Pairs in either client, whatever class each calls them; None where the call broke before it began.
        trailing = cast("Iterable[tuple[str, str | bytes]]", failure.trailing_metadata() or ())
        raise error_of(failure.code(), explained(failure.details() or ""), trailing, request_id) from failure


@contextmanager
def aio_failures(request_id: str) -> Iterator[None]:
    """The same inside a coroutine, where grpc.aio shows a CANCELLED of the other side as if our own task had been
    cancelled: only where it has been does CancelledError pass.
    """
    try:
        with failures(request_id):
            yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        message = "the call was cancelled by the server or on the way"
        raise ConnectionLost(message, code="CANCELLED", request_id=request_id, retryable=True) from None
