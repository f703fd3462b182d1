"""For which rows of tensors a run has failed: found by halves, in few runs."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rhapsode_server.errors import OutOfMemory, RunFailed, TensorsUntried
from rhapsode_server.models.base import Outcome
from rhapsode_server.models.tensors import TensorRow, refusal

Outcomes = Sequence[Outcome[Any]]
ALWAYS_FOUND = 2  # rows at fault among any others; for more of them the runs may not do


def by_halves(run: Callable[[Sequence[TensorRow]], Outcomes], rows: Sequence[TensorRow]) -> Outcomes:
    """An outcome for each of the rows that have just failed together: whoever is at fault is refused for itself.

    The larger parts come first. What is in a part that has failed still when there are no runs left is told to come
    again, so that few rows at fault cost nobody the time of hundreds of runs. Raises OutOfMemory or DeviceLost.
    """
    outcomes: dict[int, Outcome[Any]] = {}
    failed, runs = deque([range(len(rows))]), 2 * ALWAYS_FOUND * (len(rows) - 1).bit_length()
    while failed:
        part = failed.popleft()
        if len(part) == 1:
            outcomes[part[0]] = refusal("the graph cannot be run on these tensors")
        elif runs < 2:
            outcomes |= dict.fromkeys(part, _untried())
        else:
            runs -= 2
            half = len(part) // 2
            failed += [each for each in (part[:half], part[half:]) if not _got_on(run, rows, each, outcomes)]
    return [outcomes[place] for place in range(len(rows))]


def _got_on(
    run: Callable[[Sequence[TensorRow]], Outcomes],
    rows: Sequence[TensorRow],
    part: range,
    outcomes: dict[int, Outcome[Any]],
) -> bool:
    """Run a part of the rows, and keep its outcomes: whether it could be run."""
    try:
        outcomes |= zip(part, run([rows[place] for place in part]), strict=True)
    except OutOfMemory:  # fewer rows might do
        raise
    except RunFailed:
        return False
    return True


def _untried() -> Outcome[Any]:
    return Outcome(done=True, error=TensorsUntried("a run failed for tensors of others that were in it"))
