"""One run of a batch, in parts where there is not the memory for all of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rhapsode_server.errors import DeviceLost, OutOfMemory, RequestError, RhapsodeError, RunFailed
from rhapsode_server.models.base import Model, Outcome

RowT = TypeVar("RowT")
EventT = TypeVar("EventT")


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way: the how manieth, and of how many rows."""

    number: int
    rows: int


def attempt(
    model: Model[RowT, EventT], rows: Sequence[RowT], begin: Callable[[int], object] = lambda _: None
) -> Sequence[Outcome[EventT]]:
    """Advance every row: an outcome for each, of which those that the model could not advance have an error.

    A batch for which there is not the memory is run in halves, one after the other, and those in halves again: a row
    ends with OutOfMemory only where there is none for that row alone. `begin` is told of how many rows each part is.
    """
    begin(len(rows))
    try:
        return model.advance(rows)
    except OutOfMemory as failure:
        if len(rows) > 1:
            half = len(rows) // 2
            return [*attempt(model, rows[:half], begin), *attempt(model, rows[half:], begin)]
        error: RhapsodeError = failure
    except RhapsodeError as failure:
        error = failure
    except Exception as failure:  # a fault in one run must not end the thread that serves all
        error = RunFailed(f"the run failed: {type(failure).__name__}")
        error.__cause__ = failure
    return [Outcome(done=True, error=error)] * len(rows)


def failure_of(outcomes: Sequence[Outcome[EventT]]) -> RhapsodeError | None:
    """Why no row got on, where it is the run that failed and not what the model gave; the device's end at once."""
    errors = [outcome.error for outcome in outcomes]
    lost = next((error for error in errors if isinstance(error, DeviceLost)), None)
    return lost or (errors[0] if all(isinstance(error, RunFailed) for error in errors) else None)


def was_run(outcomes: Sequence[Outcome[EventT]]) -> bool:
    """Whether the outcomes tell anything of the model: one that no row was fit for shows nothing of how it is."""
    return not all(isinstance(outcome.error, RequestError) for outcome in outcomes)
