"""What a model family is, and the order that it trains by."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from rich.console import Console

from rhapsode_exporter.bundle.draft import BundleDraft
from rhapsode_exporter.errors import RunExistsError
from rhapsode_exporter.run.folder import RunFolder
from rhapsode_exporter.run.interrupt import Interrupt
from rhapsode_exporter.run.stop import Equilibrium, StopRule
from rhapsode_exporter.run.training import TrainingRun


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asked for on the command line, for any family.

    `quick` trains a small network for seconds. `resume` is true to go on from a checkpoint, false to start anew, None
    if the user did not say. `steps` replaces the family's own number of steps; `data` its data set; `schedule` its way
    of training, where it has several; `loss` what a game is played for; `error_below` and `change_below` end it early,
    where it measures an error.
    """

    quick: bool
    seed: int
    cache: Path
    runs: Path
    console: Console
    interrupt: Interrupt
    data: Path | None = None
    steps: int | None = None
    resume: bool | None = None
    schedule: str | None = None
    loss: str | None = None
    error_below: float | None = None
    change_below: float | None = None

    def stop_rule(self, steps: int, equilibrium: Equilibrium | None = None) -> StopRule:
        """When a family stops that takes `steps` steps of itself, as far as the user did not ask otherwise."""
        return StopRule(self.steps or steps, self.error_below, self.change_below, equilibrium)

    def open_run(self, name: str, rule: StopRule) -> TrainingRun:
        """The surroundings of a run of the family `name`, in `runs`/NAME or `runs`/NAME-quick.

        Raises RunExistsError where a checkpoint is there and the user did not say what to do with it.
        """
        folder = RunFolder(self.runs / (f"{name}-quick" if self.quick else name))
        if self.resume is None and folder.checkpoint.exists():
            raise RunExistsError(
                f"{folder.path} holds the checkpoint of an earlier run: use --resume to go on from it "
                "(a finished run is exported again), or --fresh to start anew"
            )
        if not self.resume:
            folder.clear()
        return TrainingRun(name, folder, rule, self.seed, self.interrupt, self.console)


@runtime_checkable
class ChoosesLoss(Protocol):
    """A family that can be trained for several losses."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Their names, the usual one first."""
        ...


@runtime_checkable
class ChoosesData(Protocol):
    """A family that knows several data sets by name, which stand for a folder with `--data`."""

    @property
    def data_sets(self) -> tuple[str, ...]:
        """Their names, the usual one first."""
        ...


class Family(Protocol):
    """A kind of model that can be trained here."""

    @property
    def name(self) -> str:
        """The family's name, which its bundle bears where it makes one."""
        ...

    @property
    def description(self) -> str:
        """One line for `rhapsode-train list`."""
        ...

    @property
    def schedules(self) -> tuple[str, ...]:
        """The ways of training that can be chosen, the usual one first; empty where there is only one."""
        ...

    @property
    def measures_error(self) -> bool:
        """Whether the training measures a validation error that it can be stopped by; games have none."""
        ...

    def train(self, order: Order) -> BundleDraft | tuple[BundleDraft, ...] | None:
        """Train as ordered, measure, and give what is to be exported; None where the user interrupted."""
        ...


@runtime_checkable
class Several(Protocol):
    """What a family has besides whose one training makes several bundles."""

    @property
    def bundles(self) -> tuple[str, ...]:
        """The names of its bundles, in the order of its drafts."""
        ...


def bundle_names(family: Family) -> tuple[str, ...]:
    """The names of the bundles that a family makes: its own, unless it makes several."""
    return family.bundles if isinstance(family, Several) else (family.name,)
