"""Steps inside the graph: many tokens a run, the state left where it was computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.models.base import ResidentRuns, Tensor
from rhapsode_server.models.fuse import wiring
from rhapsode_server.models.options import NEUTRAL, Options, options
from rhapsode_server.models.padding import Buckets, pad
from rhapsode_server.models.row import Alphabet, TextRow
from rhapsode_server.models.state import StateSpec
from rhapsode_server.models.steps import Made, Told

# A greedy row is drawn at this uniform: below any weight that counts, above the rounding of those that do not.
GREEDY = np.float32(2.0**-25)
_NONE = np.zeros((1, 1), np.float32)

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Forms:
    """A fused graph as it was loaded: the Loop form, or unrolled ones by their number of steps, one of them 1."""

    loop: ResidentRuns | None
    unrolled: Mapping[int, ResidentRuns] = field(default_factory=dict)
    buckets: Buckets = field(default_factory=Buckets)
    """Sizes of batches; the unrolled forms have one."""

    def choose(self, steps: int) -> tuple[int, ResidentRuns]:
        """The form to run where so many steps are wanted, and how many it takes: never more."""
        if self.loop is not None:
            return steps, self.loop
        most = max(known for known in self.unrolled if known <= steps)
        return most, self.unrolled[most]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some rows that are stepped together, and what is fed for as long as they are the same."""

    rows: Sequence[TextRow]
    places: Mapping[TextRow, int]
    options: Options
    feeds: Arrays


class FusedSteps:
    """Runs a fused graph (see `fuse.wiring`).

    The state of the last run's rows stays where it was computed, and each row picks its own by index. Rows that sit a
    run out are copied out of it, and come back in from the host.
    """

    def __init__(self, forms: Forms, states: Sequence[StateSpec], alphabet: Alphabet) -> None:
        self._forms = forms
        self._states = tuple(states)
        self._alphabet = alphabet
        self._staying = tuple(wiring.state(number) for number in range(len(states)))
        self._batch: _Batch | None = None
        self._last: Mapping[str, Tensor] = {}

    def run(self, rows: Sequence[TextRow], steps: int) -> Made:
        """One run of the graph, of at most `steps` steps. Every row stands where it stood if it raises RunFailed,
        OutOfMemory or DeviceLost.
        """
        before, batch = self._batch, self._assembled(rows)
        steps, runs = self._forms.choose(steps)
        places = batch.feeds if batch is before else self._places(rows, before)
        feeds = self._padded({**batch.feeds, **places, **self._course(batch, steps)}, len(rows))
        resident = {wiring.last(number): self._last[name] for number, name in enumerate(self._staying) if self._last}
        wanted = wiring.MADE + (wiring.TOLD if batch.options.tells else ())
        feeds = {name: values for name, values in feeds.items() if name in runs.inputs}
        arrays, self._last = runs.run(feeds, resident, wanted, self._staying)
        self._batch = batch
        for row in rows:
            row.state = None  # it is among the last run's, though the row was copied out for a run that failed
        told = Told(*(arrays[name] for name in wiring.TOLD)) if batch.options.tells else None
        return Made(arrays[wiring.TOKENS], arrays[wiring.SOUND], told)

    def _assembled(self, rows: Sequence[TextRow]) -> _Batch:
        """The batch of these rows: the last run's, if they are the same."""
        if self._batch is not None:
            if rows == self._batch.rows:
                return self._batch
            self._copy_out(rows, self._batch)
        asked = options(rows, len(self._alphabet.tokens))
        places = {row: place for place, row in enumerate(rows)}
        unmoved = {wiring.joined(number): spec.stacked([]) for number, spec in enumerate(self._states)}
        unmoved[wiring.ROWS] = np.arange(len(rows), dtype=np.int64)
        return _Batch(rows, places, asked, unmoved | _settings(asked))

    def _copy_out(self, rows: Sequence[TextRow], before: _Batch) -> None:
        """Bring the state of rows that sit the next run out to the host: of those that have not ended."""
        staying = set(rows)
        leaving = [(row, at) for row, at in before.places.items() if row not in staying and not row.ended]
        if leaving:
            states = [self._last[name].numpy() for name in self._staying]
            for row, place in leaving:
                row.state = tuple(state[place].copy() for state in states)

    def _places(self, rows: Sequence[TextRow], before: _Batch | None) -> Arrays:
        """Where each row's state is, and the states that come in from the host."""
        here = self._forms.buckets(len(before.rows)) if before else 0
        joining = [row for row in rows if row.state is not None]
        known = dict(before.places if before else {}) | {row: here + number for number, row in enumerate(joining)}
        feeds: Arrays = {wiring.ROWS: np.array([known.get(row, -1) for row in rows], np.int64)}
        for number, spec in enumerate(self._states):
            feeds[wiring.joined(number)] = spec.stacked([row.state[number] for row in joining if row.state])
            if not before:
                feeds[wiring.last(number)] = spec.stacked([])
        return feeds

    def _course(self, batch: _Batch, steps: int) -> Arrays:
        """What to feed first, what to force, what to draw with, and what has occurred."""
        forced = np.full((steps, len(batch.rows)), -1, np.int64)
        for place, row in enumerate(batch.rows):
            if given := row.forced(steps):
                forced[: len(given), place] = given
        uniforms = np.array([row.uniforms(steps) for row in batch.rows]).T[:, :, None]
        if batch.options.greedy.size:
            uniforms[:, batch.options.greedy, 0] = GREEDY
        return {
            wiring.STEPS: np.array(steps, np.int64),
            wiring.TOKEN: np.array([row.token for row in batch.rows], np.int64),
            wiring.FORCED: forced,
            wiring.UNIFORM: uniforms,
            wiring.COUNTS: self._counts(batch.rows) if batch.options.penalised else _NONE,
        }

    def _counts(self, rows: Sequence[TextRow]) -> NDArray[np.float32]:
        none = np.zeros(len(self._alphabet.tokens), np.float32)
        return np.stack([row.count(self._alphabet) if row.spec.sampling.penalised else none for row in rows])

    def _padded(self, feeds: Arrays, rows: int) -> Arrays:
        """The same with rows that nobody asked for, up to the size of a bucket: their tokens are forced."""
        size = self._forms.buckets(rows)
        if size == rows:
            return feeds
        fills = {wiring.TOKEN: 0, wiring.ROWS: -1, wiring.OPTIONS: NEUTRAL, wiring.BIAS: 0.0, wiring.COUNTS: 0.0}
        wide = {name: pad(feeds[name], size, fill) for name, fill in fills.items() if feeds[name] is not _NONE}
        course = {wiring.FORCED: 0, wiring.UNIFORM: 0.5}
        return feeds | wide | {name: pad(feeds[name], size, fill, axis=1) for name, fill in course.items()}


def _settings(asked: Options) -> Arrays:
    """How to draw."""
    return {
        wiring.OPTIONS: asked.columns,
        wiring.BIAS: _NONE if asked.bias is None else asked.bias,
        wiring.DEPTH: np.array([max(1, asked.depth)], np.int64),
        wiring.RANKS: np.array([asked.ranks], np.int64),
        wiring.ADJUSTS: np.array(asked.adjusts),
        wiring.FILTERS: np.array(asked.filters),
        wiring.TELLS: np.array(asked.tells),
    }
