"""What sounds when a tune is played."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """When a note begins and how long it lasts, in quarter notes; its pitch as MIDI numbers it (60 is middle C)."""

    start: float
    length: float
    pitch: int


@dataclass(frozen=True, slots=True)
class Melody:
    """Notes by their beginning, at least one; where bars begin and how long all lasts, in quarter notes."""

    notes: tuple[Note, ...]
    bars: tuple[float, ...]
    length: float
    tempo: float
    """Quarter notes a minute."""

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.length * 60 / self.tempo
