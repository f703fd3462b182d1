"""How much work a model has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs of one graph; those that are parked, since nobody takes what they have made, are active too."""

    active: int
    queued: int
    parked: int
