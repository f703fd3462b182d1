"""A range of mutants tried out, and what was found."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock

from benchmarks.fuzz import bundle_mutants as mutants
from benchmarks.fuzz.bundle_child import Child
from benchmarks.fuzz.bundle_trial import Trial

PATIENCE = 20.0  # seconds for one mutant; an honest bundle of the corpus takes less than one
MEGABYTES = 1536  # of growth: what one value of a row may have, and half of it again


@dataclass(frozen=True, slots=True)
class Hunt:
    """What all mutants gave."""

    tried: int = 0
    served: int = 0
    refused: "Counter[str]" = field(default_factory=Counter)
    """By the rule that refused them."""
    findings: Sequence[Trial] = ()
    slowest: float = 0.0
    megabytes: int = 0

    def with_one(self, trial: Trial) -> "Hunt":
        """And one mutant more."""
        told = judged(trial)
        return replace(
            self,
            tried=self.tried + 1,
            served=self.served + (not told.refused and not told.finding),
            refused=self.refused + Counter([told.refused] if told.refused else []),
            findings=[*self.findings, told] if told.finding else self.findings,
            slowest=max(self.slowest, told.seconds),
            megabytes=max(self.megabytes, told.megabytes),
        )


def judged(trial: Trial) -> Trial:
    """The trial, with a finding where it took more memory than it may."""
    if trial.finding or trial.megabytes <= MEGABYTES:
        return trial
    return replace(trial, finding=f"takes {trial.megabytes} MB")


def hunt(
    models: Path,
    numbers: range,
    jobs: int = 1,
    patience: float = PATIENCE,
    tell: Callable[[Hunt], None] = lambda _: None,
) -> Hunt:
    """Try the mutants of these numbers in `jobs` processes. What was found so far is told after each."""
    found = Hunt()
    stopped, lock = Event(), Lock()

    def lane(mine: range) -> None:
        nonlocal found
        with Child(models, patience) as child:
            for number in mine:
                if stopped.is_set():
                    return
                trial = child.ask(number)
                with lock:
                    found = found.with_one(trial)
                    tell(found)

    with ThreadPoolExecutor(jobs) as pool:
        lanes = [pool.submit(lane, numbers[first::jobs]) for first in range(jobs)]
        try:
            for done in lanes:
                done.result()
        finally:
            stopped.set()  # so that an interrupt waits for no more than the mutants that are being tried
    return found


def keep(finding: Trial, models: Path, out: Path) -> Path:
    """Write the mutant that found something, and what that was; its folder is given back."""
    folder = out / str(finding.number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "finding.txt").write_text(f"{finding.finding}\n", encoding="utf-8")
    for version in folder.glob("*/*/"):
        return version
    return mutants.write(finding.number, mutants.originals(models), folder)
