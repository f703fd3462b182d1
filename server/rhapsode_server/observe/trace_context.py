"""Which trace an rpc belongs to, as W3C Trace Context says it in the metadata `traceparent`."""

import re
from contextvars import ContextVar
from dataclasses import dataclass

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

# Versions after 00 may append fields; version ff, and ids of zeros only, mean nothing.
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span of a trace: ids in lower-case hexadecimal, 32 and 16 digits."""

    trace_id: str
    span_id: str
    sampled: bool
    """Whether whoever began the trace keeps it."""
    state: str = ""
    """What tracing systems say to each other of it (`tracestate`), passed on as it is."""


CURRENT: ContextVar[TraceContext | None] = ContextVar("trace", default=None)
"""The trace of the rpc that is being handled, for what is done on its behalf."""


def read_traceparent(text: str) -> TraceContext | None:
    """Read a traceparent; None for one that is malformed, which a server ignores (W3C Trace Context, section 3.2)."""
    found = _FORM.fullmatch(text)
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceContext(found[2], found[3], bool(int(found[4], 16) & _SAMPLED))
