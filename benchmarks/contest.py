"""The rivals as rounds take them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from benchmarks.cases import Case, Measurement, Way
from benchmarks.plan import Task
from benchmarks.rivals.rivals import RIVALS, Rival, measure, running
from benchmarks.rounds import Measure

_FEWER_MESSAGES: Mapping[Way, Way] = MappingProxyType({"pytriton": "pytriton16", "mlserver": "mlserver16"})
_TOKENS_A_MESSAGE = 16


@contextmanager
def running_rivals(plan: Sequence[Task], models: Path, out: Path) -> Iterator[Mapping[Way, Measure]]:
    """Start the rivals that a plan names, and stop them on leaving; their logs are `out`/bench-RIVAL.log.

    Raises RivalFailedError.
    """
    ways: dict[Way, Measure] = {}
    with ExitStack() as stack:
        for rival in RIVALS:
            if cases := [task.case for task in plan if rival in task.ways]:
                started = stack.enter_context(running(rival, models, cases, out / f"bench-{rival}.log"))
                ways[rival] = _taker(started, rival, 1)
                ways[_FEWER_MESSAGES[rival]] = _taker(started, _FEWER_MESSAGES[rival], _TOKENS_A_MESSAGE)
        yield ways


def _taker(rival: Rival, way: Way, tokens_a_message: int) -> Measure:
    async def take(case: Case, seed: int) -> Measurement:
        return replace(measure(rival, case, seed, tokens_a_message), way=way)

    return take
