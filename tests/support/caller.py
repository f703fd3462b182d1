"""Clients whose requests belong to a trace of theirs."""

import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """A client's span."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        parent = f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"
        return (("traceparent", parent), ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"))


def caller(sampled: bool = True) -> Caller:
    return Caller(secrets.token_hex(16), secrets.token_hex(8), sampled)
