"""What ties an observation to the trace that it is from: an exemplar, in the terms of OpenMetrics."""

from rhapsode_server.observe.trace_context import TraceContext


def exemplar(trace: TraceContext | None) -> dict[str, str] | None:
    """The labels of a trace that somebody keeps; None for one that nobody will find."""
    return {"trace_id": trace.trace_id, "span_id": trace.span_id} if trace and trace.sampled else None
