"""Boltzmann machines: one step of a row's Markov chain, until it has taken as many as it wants."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rhapsode_server.errors import NonFiniteOutput
from rhapsode_server.models.base import Outcome, Session
from rhapsode_server.models.decoder import NO_LATENT, Picture, Pixels
from rhapsode_server.models.latents import Draw
from rhapsode_server.models.noise import Purpose, choices, single_uniforms, words_of_steps

State = NDArray[np.float32]


class GibbsRow:
    """One picture to draw by a chain of its own, whose noise its name decides.

    `index` is its place in the request; `class_id` None draws a class with the row's noise; after every
    `preview_every` steps there is a preview, unless that is 0.
    """

    def __init__(
        self, index: int, source: Draw, steps: int, class_id: int | None = None, preview_every: int = 0
    ) -> None:
        self.index = index
        self.source = source
        self.steps = steps
        self.class_id = class_id
        self.preview_every = preview_every
        self.taken = 0
        self.state: State | None = None
        """Between two runs; None before the first and after the last."""

    def __repr__(self) -> str:
        return f"<GibbsRow {self.index} step {self.taken} of {self.steps}>"


class GibbsSampler:
    """Steps chains: state [batch, n] of zeros and ones, uniform [batch, m] → next_state, image [batch, c, h, w].

    A fresh state's number j is 1 where uniform j is below `start[j]`; step s of a row has uniforms of its own, whatever
    rows it shares the run with.
    """

    def __init__(
        self, session: Session, start: NDArray[np.float32], noise_size: int, class_count: int, max_batch: int
    ) -> None:
        self.max_batch = max_batch
        self._session = session
        self._start = start
        self._noise_size = noise_size
        self._class_count = class_count

    def advance(self, rows: Sequence[GibbsRow]) -> Sequence[Outcome[Picture]]:
        """Take one step of every row's chain."""
        self._begin([row for row in rows if row.state is None])
        feeds: dict[str, NDArray[Any]] = {
            "state": np.stack([row.state for row in rows if row.state is not None]),
            "uniform": self._noise(rows, Purpose.CHAIN_STEP, self._noise_size),
        }
        if self._class_count:
            feeds["class_id"] = np.array([row.class_id for row in rows], dtype=np.int64)
        results = self._session.run(feeds)
        pictures, states = results["image"], results["next_state"]
        sound = np.isfinite(pictures).reshape(len(rows), -1).all(axis=1) & np.isfinite(states).all(axis=1)
        return [
            _stepped(row, state, picture)
            if fine
            else Outcome(done=True, error=NonFiniteOutput("the model gave numbers that are not finite"))
            for row, state, picture, fine in zip(rows, states, pictures, sound, strict=True)
        ]

    def _begin(self, rows: Sequence[GibbsRow]) -> None:
        """Give fresh rows their states, and classes to those that are asked for none."""
        if not rows:
            return
        states = (self._noise(rows, Purpose.CHAIN_START, len(self._start)) < self._start).astype(np.float32)
        drawn = choices(*_names(rows), self._class_count) if self._class_count else [None] * len(rows)
        for row, state, class_id in zip(rows, states, drawn, strict=True):
            row.state = state
            if row.class_id is None and class_id is not None:
                row.class_id = int(class_id)

    def _noise(self, rows: Sequence[GibbsRow], purpose: Purpose, count: int) -> NDArray[np.float32]:
        return single_uniforms(words_of_steps(*_names(rows), purpose, [row.taken for row in rows], count))


def _names(rows: Sequence[GibbsRow]) -> tuple[list[int], list[int]]:
    return [row.source.seed for row in rows], [row.source.row for row in rows]


def _stepped(row: GibbsRow, state: State, picture: Pixels) -> Outcome[Picture]:
    """Move a row on. Copies, because what waits must not keep its whole batch in memory."""
    row.taken += 1
    if row.taken >= row.steps:
        row.state = None
        return Outcome((Picture(picture.copy(), NO_LATENT),), done=True, made=1)
    row.state = state.copy()
    if not row.preview_every or row.taken % row.preview_every:
        return Outcome()
    return Outcome((Picture(picture.copy(), NO_LATENT, row.taken),), made=1)
