"""What a server still holds when all have left, beyond what it held before they came."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.abuse.promise import Promise, at_most, exactly, told
from benchmarks.vitals import Patient, Vitals

PATIENCE = 30.0
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Leftover:
    """The difference of two looks at a server."""

    slots: int
    tasks: int
    descriptors: int
    memory_mb: float
    cpu_seconds: float

    def promises(self, most_mb: float | None = None) -> Iterator[Promise]:
        """That nothing leaked; and how much memory it may keep, where that is promised."""
        yield exactly("leaked slots", self.slots, 0)
        yield at_most("tasks beyond the baseline", self.tasks, 0)
        yield at_most("file descriptors beyond the baseline", self.descriptors, 0)
        text = "memory beyond the baseline"
        yield told(text, self.memory_mb, "MB") if most_mb is None else at_most(text, self.memory_mb, most_mb, "MB")
        yield told("the server's CPU", self.cpu_seconds, "s")


def leftover(patient: Patient, before: Vitals, patience: float = PATIENCE) -> Leftover:
    """Wait until nothing is left, though not for ever: what there is."""

    def back(vitals: Vitals) -> bool:
        return vitals.idle and vitals.tasks <= before.tasks and vitals.descriptors <= before.descriptors

    try:
        after = patient.until(back, patience)
    except TimeoutError:
        after = patient.look()
    return Leftover(
        slots=after.slots + after.queued - before.slots - before.queued,
        tasks=after.tasks - before.tasks,
        descriptors=after.descriptors - before.descriptors,
        memory_mb=(after.memory - before.memory) / MEGABYTE,
        cpu_seconds=after.cpu_seconds - before.cpu_seconds,
    )
