"""What a server promises under abuse, and whether it was held."""

import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the table. Without a bound it is a figure that is told and promises nothing."""

    text: str
    value: str
    bound: str
    held: bool


class Figures(Protocol):
    """What a scenario measured: a frozen dataclass, so that it can be written as JSON."""

    def promises(self) -> Iterator[Promise]:
        """What of it was promised, and what is told besides."""
        ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to hurt a server. `run` starts a server of its own, and is told how much of the full count to do."""

    name: str
    title: str
    run: Callable[[float], Figures | Awaitable[Figures]]


def at_most(text: str, value: float, bound: float, unit: str = "") -> Promise:
    """Promised: no more than this."""
    return Promise(text, _number(value, unit), f"≤ {_number(bound, unit)}", value <= bound)


def at_least(text: str, value: float, bound: float, unit: str = "") -> Promise:
    """Promised: no less than this."""
    return Promise(text, _number(value, unit), f"≥ {_number(bound, unit)}", value >= bound)


def exactly(text: str, value: object, bound: object) -> Promise:
    """Promised: this and nothing else."""
    return Promise(text, str(value), f"= {bound}", value == bound)


def told(text: str, value: float, unit: str = "") -> Promise:
    """A figure that nothing is promised about."""
    return Promise(text, _number(value, unit), "", True)


def _number(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "never" if value > 0 else "none"
    digits = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()
