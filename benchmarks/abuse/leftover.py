"""What a server still holds when all have left, beyond what it held before they came."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.abuse.promise import Promise, at_most
from benchmarks.vitals import Patient, Vitals

PATIENCE = 30.0
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Leftover:
    """The difference of two looks at a server."""

    slots: int
    """Those that wait for one counted too."""
    open_rpcs: int
    tasks: int
    descriptors: int
    memory_mb: float
    peak_mb: float | None
    """Of its memory, meanwhile."""
    cpu_seconds: float

    def promises(self, most_mb: float | None = None, most_peak_mb: float | None = None) -> Iterator[Promise]:
        """That nothing leaked; and how much memory it may keep, or take meanwhile, where that is promised."""
        held = (self.slots, self.open_rpcs, self.tasks, self.descriptors)
        text = "slots, open rpcs, tasks, file descriptors beyond the baseline, afterwards"
        yield Promise(text, ", ".join(map(str, held)), "≤ 0, 0, 0, 0", all(number <= 0 for number in held))
        if most_mb is not None:
            yield at_most("memory beyond the baseline, afterwards", self.memory_mb, most_mb, "MB")
        if most_peak_mb is not None and self.peak_mb is not None:
            yield at_most("memory beyond the baseline, at its peak", self.peak_mb, most_peak_mb, "MB")
        yield Promise(
            "the server's memory beyond it, at its peak and afterwards; its CPU", self._costs(), "", held=True
        )

    def _costs(self) -> str:
        peak = "" if self.peak_mb is None else f"{self.peak_mb:.1f} MB, "
        return f"{peak}{self.memory_mb:.1f} MB; {self.cpu_seconds:.1f} s"


def leftover(patient: Patient, before: Vitals, peak: int | None = None, patience: float = PATIENCE) -> Leftover:
    """Wait until nothing is left, though not for ever: what there is. `peak`: bytes that it had meanwhile."""

    def back(vitals: Vitals) -> bool:
        return vitals.idle and vitals.tasks <= before.tasks and vitals.descriptors <= before.descriptors

    try:
        after = patient.until(back, patience)
    except TimeoutError:
        after = patient.look()
    return Leftover(
        slots=after.slots + after.queued - before.slots - before.queued,
        open_rpcs=after.open_rpcs - before.open_rpcs,
        tasks=after.tasks - before.tasks,
        descriptors=after.descriptors - before.descriptors,
        memory_mb=(after.memory - before.memory) / MEGABYTE,
        peak_mb=None if peak is None else (peak - before.memory) / MEGABYTE,
        cpu_seconds=after.cpu_seconds - before.cpu_seconds,
    )
