"""What the server tells its traces, where there are any; without them it costs next to nothing."""

# ruff: noqa: ARG002 - those who have no traces need no arguments

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rhapsode_server.observe.trace_context import TRACEPARENT, TraceContext, read_traceparent

Metadata = Sequence[tuple[str, str | bytes]]
Value = str | int | float
Loss = Literal["behind", "broken", "queue_full", "export_failed"]
"""Why spans are lost: the thread that makes them is behind, they cannot be made, the exporter is behind, it failed."""
CountLoss = Callable[[Loss, int], object]  # why, and how many spans


class RpcSpan(Protocol):
    """The span of one rpc, from its arrival to its end. Lives in the event loop."""

    @property
    def context(self) -> TraceContext | None:
        """What is done on behalf of the rpc belongs to it; None where the rpc has no trace."""
        ...

    def replied(self) -> None:
        """The first message goes to the client."""
        ...

    def end(self, code: str, fields: Mapping[str, object]) -> None:
        """The rpc is over: the name of its status ("OK", "NOT_FOUND"), and what its log line says."""
        ...


class LaneSpans(Protocol):
    """The spans of one graph of one model. Safe from any thread; a call costs a few microseconds at most."""

    def queued(self, trace: TraceContext | None, seconds: float) -> None:
        """A job's wait for its first run has just ended, by the run or by its reader's leaving."""
        ...

    def ran(
        self, traces: Iterable[TraceContext | None], seconds: float, rows: int, steps: int, failure: str | None
    ) -> None:
        """A run has just ended: the trace of each row's job, and the reason why it failed."""
        ...


class Traces(Protocol):
    """Makes the spans of one server."""

    def rpc(self, method: str, metadata: Metadata, peer: str) -> RpcSpan:
        """Begin the span of an rpc: its full name "package.Service/Method", its metadata, its client's address."""
        ...

    def unknown(self, method: str, metadata: Metadata) -> RpcSpan:
        """Begin the span of an rpc whose method there is not: what the client called it."""
        ...

    def lane(self, model: str, version: int, role: str) -> LaneSpans | None:
        """The spans of one graph; None where there are to be none."""
        ...

    def encoded(self, trace: TraceContext | None, seconds: float, form: str, pictures: int) -> None:
        """Files of pictures have just been written."""
        ...

    def listens(self, address: str) -> None:
        """Where the server can be reached, for spans to come."""
        ...

    def count_losses(self, count: CountLoss) -> None:
        """Have spans that are lost counted there."""
        ...

    def close(self) -> None:
        """Hand over what there is, for some seconds at most."""
        ...


@dataclass(frozen=True, slots=True)
class Untraced:
    """Stands for the span of an rpc without one; work on its behalf belongs to its client's trace."""

    context: TraceContext | None

    def replied(self) -> None:
        """Nothing to note."""

    def end(self, code: str, fields: Mapping[str, object]) -> None:
        """Nothing to end."""


class NoTraces:
    """What a server has that is not asked for traces."""

    def rpc(self, method: str, metadata: Metadata, peer: str) -> RpcSpan:
        """Only read which trace the rpc belongs to."""
        return Untraced(read_traceparent(sent(metadata, TRACEPARENT)))

    def unknown(self, method: str, metadata: Metadata) -> RpcSpan:
        """Only read which trace the rpc belongs to."""
        return self.rpc(method, metadata, "")

    def lane(self, model: str, version: int, role: str) -> LaneSpans | None:
        """None."""
        return None

    def encoded(self, trace: TraceContext | None, seconds: float, form: str, pictures: int) -> None:
        """Nothing to note."""

    def listens(self, address: str) -> None:
        """Nothing to note."""

    def count_losses(self, count: CountLoss) -> None:
        """Nothing to lose."""

    def close(self) -> None:
        """Nothing to hand over."""


NO_TRACES = NoTraces()


def sent(metadata: Metadata, name: str) -> str:
    """The text that a client sent under a name of the metadata; empty if it sent none."""
    for key, value in metadata:
        if key == name and isinstance(value, str):
            return value
    return ""
