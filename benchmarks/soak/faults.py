"""What goes wrong on purpose in a soak: how a request is spoilt, and how it may then end."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from benchmarks.soak.history import CANCELLED, DEADLINE_EXCEEDED
from benchmarks.soak.kinds import Kind
from benchmarks.soak.recorder import ANSWERED, OVERLOADED, Wish
from grpc_health.v1 import health_pb2

CANCEL, LATE, STALLED, STILL, MALFORMED, INVALID, KILLED, CHURN, WATCH = (
    "cancelled",
    "deadline too short",
    "reader that stalls",
    "reader that stands still",
    "malformed bytes",
    "invalid field",
    "client killed",
    "connection of its own",
    "health watch",
)
SHARES: Mapping[str, float] = MappingProxyType(
    {CANCEL: 34, LATE: 22, STALLED: 6, STILL: 6, MALFORMED: 15, INVALID: 15, KILLED: 2}
)
"""How faults are shared out among their kinds."""
HARMLESS: Mapping[str, float] = MappingProxyType({CHURN: 0.007, WATCH: 0.003})
"""What is nobody's fault, and asked beside them: shares of all requests."""

WATCHING = Kind(
    "health watch",
    "",
    "/grpc.health.v1.Health/Watch",
    True,
    0.0,
    lambda _: health_pb2.HealthCheckRequest(),
    health_pb2.HealthCheckResponse,
)
LONGEST = 4.0  # seconds for which a health watch lasts
SHORT = 0.25  # of what the server allows, for which a reader at most stalls that is not to be given up
MORE = 1.5  # seconds beyond that, for which one stands still that is
BY_FRAMES, CANCELLED_BY_FRAMES = 0.05, 0.5  # shares of sound and of cancelled requests that are read frame by frame
_BROKEN = b"\x0a\x7f\xff"  # a field that says to be longer than all that follows


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that faults are measured by."""

    alone: float
    """That the request takes by itself."""
    stall: float
    """That the server allows a reader to leave a message untaken."""
    longest: float = LONGEST
    """That a health watch lasts at most."""


def draw(dice: Random, share: float) -> str:
    """Draw what is special about a request: a fault, of which there is this share; nothing for most."""
    if dice.random() < share:
        return dice.choices(list(SHARES), list(SHARES.values()))[0]
    chances = {"": 1.0 - sum(HARMLESS.values()), **HARMLESS}
    return dice.choices(list(chances), list(chances.values()))[0]


def befalls(fault: str, kind: Kind) -> bool:
    """Whether this can go wrong with this kind: only streams have readers that stall."""
    return kind.streams or fault not in (STALLED, STILL)


def asked(fault: str, kind: Kind, seed: int, times: Times, dice: Random) -> Wish:
    """How a request of this kind is made with a fault, or with none."""
    if fault == CANCEL:
        moment = dice.uniform(0.0005, 1.2 * times.alone)
        return Wish((*ANSWERED, CANCELLED), cancel_after=moment, frames=dice.random() < CANCELLED_BY_FRAMES)
    if fault == LATE:
        late = ("DEADLINE_TOO_SHORT", "DEADLINE_EXPIRED", DEADLINE_EXCEEDED)
        return Wish((*ANSWERED, *late), timeout=dice.uniform(0.001, max(0.002, times.alone)))
    if fault == STALLED:
        return Wish(ANSWERED, pause=dice.uniform(0.0, SHORT * times.stall), frames=True)
    if fault == STILL:
        return Wish((*OVERLOADED, "CLIENT_TOO_SLOW"), pause=times.stall + MORE, frames=True)
    if fault == MALFORMED:
        return Wish(("MALFORMED_REQUEST",), body=_BROKEN)
    if fault == INVALID:
        return Wish(("INVALID_FIELD",), body=_unnamed(kind.make(seed).SerializeToString(), kind.model))
    if fault == WATCH:
        return Wish((CANCELLED,), cancel_after=dice.uniform(0.05 * times.longest, times.longest))
    return Wish(frames=not fault and dice.random() < BY_FRAMES)


def _unnamed(body: bytes, model: str) -> bytes:
    """The same request with a name that no model can have, as long as the right one."""
    return body.replace(model.encode(), b"?" * len(model), 1)
