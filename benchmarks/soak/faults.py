"""What goes wrong on purpose in a soak: how a request is spoilt, and how it may then end."""

from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from benchmarks.soak.history import CANCELLED, DEADLINE_EXCEEDED
from benchmarks.soak.kinds import Kind
from benchmarks.soak.recorder import ANSWERED, PLAIN, Wish
from grpc_health.v1 import health_pb2

CANCEL, LATE, STALLED, MALFORMED, INVALID, CHURN, WATCH, KILLED = (
    "cancelled",
    "deadline too short",
    "stalled reader",
    "malformed bytes",
    "invalid field",
    "connection of its own",
    "health watch",
    "client killed",
)
SHARES: Mapping[str, float] = MappingProxyType(
    {CANCEL: 28, LATE: 20, STALLED: 6, MALFORMED: 12, INVALID: 12, CHURN: 14, WATCH: 6, KILLED: 2}
)
"""How faults are shared out among their kinds."""

WATCHING = Kind(
    "health watch",
    "",
    "/grpc.health.v1.Health/Watch",
    True,
    0.0,
    lambda _: health_pb2.HealthCheckRequest(),
    health_pb2.HealthCheckResponse,
)
LONGEST = 4.0  # seconds for which a stalled reader reads nothing, or a health watch lasts
_BROKEN = b"\x0a\x7f\xff"  # a field that says to be longer than all that follows


def pick(dice: Random) -> str:
    """Draw a fault."""
    return dice.choices(list(SHARES), list(SHARES.values()))[0]


def befalls(fault: str, kind: Kind) -> bool:
    """Whether this can go wrong with this kind: only streams have readers that stall."""
    return kind.streams or fault != STALLED


def spoilt(fault: str, kind: Kind, seed: int, seconds: float, dice: Random, longest: float = LONGEST) -> Wish:
    """How a request of this kind, which takes so long by itself, is made with a fault."""
    if fault == CANCEL:
        return Wish((*ANSWERED, CANCELLED), cancel_after=dice.uniform(0.0005, 1.2 * seconds))
    if fault == LATE:
        late = ("DEADLINE_TOO_SHORT", "DEADLINE_EXPIRED", DEADLINE_EXCEEDED)
        return Wish((*ANSWERED, *late), timeout=dice.uniform(0.001, max(0.002, seconds)))
    if fault == STALLED:
        return Wish((*ANSWERED, "CLIENT_TOO_SLOW"), pause=dice.uniform(0.2, longest))
    if fault == MALFORMED:
        return Wish(("MALFORMED_REQUEST",), body=_BROKEN)
    if fault == INVALID:
        return Wish(("INVALID_FIELD",), body=_unnamed(kind.make(seed).SerializeToString(), kind.model))
    if fault == WATCH:
        return Wish((CANCELLED,), cancel_after=dice.uniform(0.2, longest))
    return PLAIN


def _unnamed(body: bytes, model: str) -> bytes:
    """The same request with a name that no model can have, as long as the right one."""
    return body.replace(model.encode(), b"?" * len(model), 1)
