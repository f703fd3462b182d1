"""The course of a training: step after step, with a look every so often, until the stop rule fires or a person does."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rhapsode_exporter.run.curves import draw_curves
from rhapsode_exporter.run.folder import HistoryRow, Position, Stateful
from rhapsode_exporter.run.stop import Reading
from rhapsode_exporter.run.training import Outcome, Stopwatch, TrainingRun


@dataclass(slots=True)
class Seen:
    """What a loop saw last: the two errors that it measured last; its losses are the fields of a subclass."""

    error: float | None = None
    previous: float | None = None

    def measured(self, error: float) -> None:
        """Take a new error."""
        self.previous, self.error = self.error, error

    def losses(self) -> dict[str, float]:
        """The losses by name; NaN before the first step."""
        return {name: value for name, value in asdict(self).items() if name not in {"error", "previous"}}

    def reading(self, step: int) -> Reading:
        """What the stop rule is to judge; on going on from a checkpoint, what it judged last."""
        return Reading(step, self.error, self.previous)

    def state_dict(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take such a state over."""
        for name, value in state_dict.items():
            setattr(self, name, value)


@dataclass(frozen=True, slots=True)
class Course:
    """How a loop goes on: `learn` takes a step, `look` measures after so many and keeps what is to be looked at.

    `look` tells `seen` the error, and gives further figures for the history.
    """

    seen: Seen
    every: int
    learn: Callable[[int], None]
    look: Callable[[int], Mapping[str, float]]


def follow(run: TrainingRun, parts: Mapping[str, Stateful], identity: dict[str, str], course: Course) -> Outcome:
    """Go on from the run's checkpoint, or from the start, to the end; why it ended, and how far it came.

    `parts` are what a checkpoint holds beside `seen`; `identity` says what is trained.
    """
    kept, seen = {**parts, "figures": course.seen}, course.seen
    start = run.folder.restore(kept, identity)
    step, watch = start.step, Stopwatch(start.seconds)

    def look() -> Reading:
        """Measure, write down what was seen, and keep a checkpoint."""
        figures = course.look(step)
        losses = {name: value for name, value in seen.losses().items() if not math.isnan(value)}
        run.folder.record(HistoryRow(step, watch.seconds(), {**losses, **figures}))
        draw_curves(run.folder.history(), run.folder.curves)
        run.folder.save(Position(step, watch.seconds()), kept, identity)
        return seen.reading(step)

    with run.progress() as progress:
        reading = look() if seen.error is None else seen.reading(step)
        while (stop := run.decide(reading)) is None:
            course.learn(step)
            step += 1
            reading = look() if step % course.every == 0 or step == run.rule.steps else Reading(step)
            progress.update(step, seen.losses())
    run.folder.save(Position(step, watch.seconds()), kept, identity)
    return Outcome(stop, Position(step, watch.seconds()))
