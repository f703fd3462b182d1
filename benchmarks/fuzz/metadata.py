"""Metadata that a server looks at, or should not, with values that it was not made for.

All of them are printable ASCII, since a client of gRPC sends nothing else: benchmarks/abuse/cases.py has other bytes.
"""

from random import Random

_KEYS = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "authorization",
    "baggage",
    "user-agent",
    "grpc-previous-rpc-attempts",
)
_BINARY = ("x-strange-bin", "grpc-trace-bin", "grpc-tags-bin")
_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_VALUES = (
    "",
    " ",
    "a",
    "a b",
    "-1",
    "Bearer ",
    "Bearer " + "a" * 500,
    _TRACE,
    _TRACE.upper(),
    _TRACE + "-more",
    "ff" + _TRACE[2:],
    "00-" + "0" * 32 + "-" + "0" * 16 + "-00",
    "a=1," * 100,
    "=,=;=",
    '"}{"level": "error"}',
    "%0a%00\\n",
    "~" * 1500,
)


def strange(random: Random) -> tuple[str, str | bytes]:
    """A key and its value."""
    if random.random() < 0.2:
        return random.choice(("x-strange-bin", "grpc-trace-bin", "grpc-tags-bin")), random.randbytes(
            random.randrange(99)
        )
    return random.choice(_KEYS), random.choice(_VALUES)
